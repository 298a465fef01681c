with

email_campaigns as (

    select * from {{ ref('email__campaigns') }}

),

crm_campaigns as (

    select * from {{ ref('crm__campaigns') }}

),

campaigns as (

    select
        source,
        campaign_id,
        name,
        'email' as channel

    from email_campaigns

    union all

    select
        source,
        campaign_id,
        name,
        coalesce(lower(trim(channel)), 'campaign')

    from crm_campaigns

),

final as (

    select
        source || ':' || campaign_id as campaign_key,
        source,
        campaign_id,
        name,
        channel,
        count(*) over (partition by campaign_id) = 1 as is_only_one

    from campaigns

)

select * from final
