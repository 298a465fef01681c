with

visits as (

    select
        *,
        {{ local_date('entered_at') }} as entered_on

    from {{ ref('core__funnel_visits') }}
    where step = 'opportunity'

),

-- As in marts.bottlenecks, which has these by quarter.
usual as (

    select
        stage,
        {{ matures_after() }} as matures_after

    from visits
    group by all

),

aged as (

    select
        visits.*,
        cast(date_trunc('month', visits.entered_on) as date) as month,
        coalesce(
            cast(date_trunc('month', visits.entered_on) + interval 1 month as date) + usual.matures_after
            <= {{ local_date(as_of()) }}, false
        ) as is_matured

    from visits
    inner join usual
        on visits.stage = usual.stage

),

final as (

    select
        source,
        opportunity_id,
        stage,
        team,
        entered_at,
        entered_on,
        month,
        cast(is_matured as integer) as matured,
        cast(is_matured and coalesce(exit = 'advanced', false) as integer) as advanced,
        cast(is_matured and coalesce(exit in ('lost', 'back'), false) as integer) as exited,
        days,
        has_left

    from aged

)

select * from final
