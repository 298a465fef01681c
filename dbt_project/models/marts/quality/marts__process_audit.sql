with

deals as (

    select * from {{ ref('core__process_deals') }}

),

work as (

    select * from {{ ref('core__process_work') }}

),

cases as (

    select * from deals
    union all
    select * from work

),

counted as (

    select
        {{ fiscal_period(3, 'happened_on') }} as quarter,
        finding,
        detail,
        team,
        count(*) filter (where is_found) as found,
        count(*) as base,
        cast(sum(money) as decimal(18, 2)) as money

    from cases
    where happened_on <= {{ last_day() }}
    group by all

),

compared as (

    select
        counted.quarter,
        counted.finding,
        counted.detail,
        counted.team,
        counted.found,
        counted.base,
        cast({{ ratio('counted.found', 'counted.base') }} as decimal(38, 12)) as share,
        counted.money,
        former.found as found_before,
        former.base as base_before,
        cast({{ ratio('former.found', 'former.base') }} as decimal(38, 12)) as share_before,
        former.money as money_before

    from counted
    left join counted as former
        on
            counted.finding = former.finding
            and counted.detail = former.detail
            and counted.team = former.team
            and counted.quarter = former.quarter + interval 3 month
    where counted.found > 0 or former.found > 0

),

final as (

    select
        quarter,
        cast(row_number() over (
            partition by quarter
            order by
                coalesce(money, 0) desc, found desc, share desc, finding asc, detail asc, team asc
        ) as integer) as rank,
        finding,
        detail,
        team,
        found,
        base,
        share,
        money,
        found_before,
        base_before,
        share_before,
        money_before

    from compared

)

select * from final
