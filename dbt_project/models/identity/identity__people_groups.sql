with recursive  -- noqa: PRS

features as (

    select * from {{ ref('identity__people_features') }}

),

links as (

    select * from {{ ref('identity__people_links') }}

),

{{ connected('features', 'links') }},

final as (

    select record, label from components

)

select * from final
