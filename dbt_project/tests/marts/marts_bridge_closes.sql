-- Opening plus movements is closing, a month begins where the last one ended, accounts sum up to the bridge.
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

final as (

    select
        month,
        bridge.opening,
        bridge.closing,
        bridge.previous,
        accounts.opening as opening_of_accounts,
        accounts.closing as closing_of_accounts

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
