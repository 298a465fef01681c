with

months as (

    select * from {{ ref('core__kpi_months') }}

),

campaigns as (

    select * from {{ ref('marts__email_performance') }}

),

final as (

    select
        months.period,
        months.period_start,
        cast(coalesce(sum(campaigns.sent), 0) as bigint) as sent,
        cast(coalesce(sum(campaigns.delivered), 0) as bigint) as delivered,
        cast(coalesce(sum(campaigns.bounced), 0) as bigint) as bounced,
        cast(coalesce(sum(campaigns.opened), 0) as bigint) as opened,
        cast(coalesce(sum(campaigns.machine_opened), 0) as bigint) as machine_opened,
        cast(coalesce(sum(campaigns.clicked), 0) as bigint) as clicked,
        cast(coalesce(sum(campaigns.replied), 0) as bigint) as replied

    from months
    left join campaigns
        on months.month = campaigns.month
    group by all

)

select * from final
