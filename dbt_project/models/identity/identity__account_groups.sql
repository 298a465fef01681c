with recursive  -- noqa: PRS

features as (

    select * from {{ ref('identity__account_features') }}

),

links as (

    select * from {{ ref('identity__links') }}

),

{{ connected('features', 'links') }},

final as (

    select record, label from components

)

select * from final
