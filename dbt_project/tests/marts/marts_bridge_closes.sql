-- Opening plus movements is closing, a month begins where the last one ended, accounts sum up to the bridge.
-- So do a segment's values; what is transferred between them adds up to nothing.
with

bridge as (

    select
        *,
        "new" + reactivation + expansion + contraction + churn + fx as movements,
        lag(closing, 1, 0) over (order by month) as previous

    from {{ ref('marts__arr_bridge') }}

),

accounts as (

    select
        month,
        sum(opening) as opening,
        sum("new" + reactivation + expansion + contraction + churn + fx) as movements,
        sum(closing) as closing

    from {{ ref('marts__mrr_monthly') }}
    group by all

),

of_segments as (

    select
        *,
        coalesce(
            lag(closing) over (partition by segment, segment_value order by month), 0
        ) as previous,
        lag(month) over (partition by segment, segment_value order by month) as previous_month

    from {{ ref('marts__arr_bridge_by_segment') }}

),

segment_sums as (

    select
        month,
        segment,
        sum(opening) as opening,
        sum(transferred) as transferred,
        sum("new" + reactivation + expansion + contraction + churn + fx) as movements,
        sum(closing) as closing

    from of_segments
    group by all

),

torn as (

    select
        month,
        opening,
        closing,
        previous,
        null as opening_of_parts,
        null as closing_of_parts

    from of_segments
    where
        opening + transferred + "new" + reactivation + expansion + contraction + churn + fx <> closing
        or opening <> case when month = previous_month + interval 1 month then previous else 0 end

),

lost as (

    select
        bridge.month,
        bridge.opening,
        bridge.closing,
        bridge.previous,
        segment_sums.opening as opening_of_parts,
        segment_sums.closing as closing_of_parts

    from bridge
    inner join segment_sums
        on bridge.month = segment_sums.month
    where
        bridge.opening <> segment_sums.opening
        or bridge.movements <> segment_sums.movements
        or bridge.closing <> segment_sums.closing
        or segment_sums.transferred <> 0

),

final as (

    select
        month,
        bridge.opening,
        bridge.closing,
        bridge.previous,
        accounts.opening as opening_of_parts,
        accounts.closing as closing_of_parts

    from bridge
    full join accounts using (month)
    where
        bridge.opening + bridge.movements <> bridge.closing
        or bridge.opening <> bridge.previous
        or bridge.arr <> 12 * bridge.closing
        or coalesce(accounts.opening, 0) is distinct from bridge.opening
        or coalesce(accounts.closing, 0) is distinct from bridge.closing
        or coalesce(accounts.opening + accounts.movements <> accounts.closing, false)

)

select * from final
union all
select * from torn
union all
select * from lost
