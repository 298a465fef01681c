with recursive  -- noqa: PRS

features as (

    select * from {{ ref('identity__account_features') }}

),

links as (

    select * from {{ ref('identity__links') }}

),

linked as (

    select distinct record from links
    semi join features using (record)

),

{{ connected('linked', 'links') }},

final as (

    select record, label from components

)

select * from final
