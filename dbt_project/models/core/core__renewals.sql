with

subscriptions as (

    select * from {{ ref('billing__subscriptions') }}
    where not coalesce(is_deleted, false)

),

all_items as (

    select * from {{ ref('billing__subscription_items') }}
    where not coalesce(is_deleted, false)

),

prices as (

    select * from {{ ref('billing__prices') }}

),

spans as (

    select * from {{ ref('core__subscription_spans') }}

),

closing_rates as (

    select * from {{ ref('core__closing_rates') }}

),

revenue as (

    select distinct
        source,
        subscription_id,
        account,
        currency

    from spans

),

-- Subscriptions that can be revenue at all.
contracts as (

    select
        subscriptions.source,
        subscriptions.subscription_id,
        revenue.account,
        revenue.currency,
        coalesce(subscriptions.started_at, subscriptions.created_at) as started_at,
        subscriptions.trial_end,
        subscriptions.ended_at

    from subscriptions
    inner join revenue
        on
            subscriptions.source = revenue.source
            and subscriptions.subscription_id = revenue.subscription_id

),

versions as (

    select
        contracts.*,
        all_items.valid_from,
        all_items.subscription_item_id,
        coalesce(all_items.interval_count, 1)
        * case all_items.interval when 'month' then 1 when 'year' then 12 end as term_months

    from contracts
    inner join all_items
        on
            contracts.source = all_items.source
            and contracts.subscription_id = all_items.subscription_id
    left join prices
        on all_items.source = prices.source and all_items.price_id = prices.price_id
    where
        all_items.interval in ('month', 'year')
        and coalesce(prices.is_recurring, true)
        and coalesce(prices.usage_type, 'licensed') <> 'metered'

),

-- A change of interval starts a new series of terms.
turns as (

    select
        *,
        lag(term_months) over by_time as previous_months

    from versions
    window by_time as (partition by source, subscription_id order by valid_from, subscription_item_id)
    qualify previous_months is distinct from term_months

),

series as (

    select
        *,
        case
            when previous_months is null then greatest(started_at, coalesce(trial_end, valid_from))
            else valid_from
        end as anchor_at,
        least(
            coalesce(lead(valid_from) over by_time, {{ as_of() }}),
            {{ as_of() }}
        ) as stop_at

    from turns
    window by_time as (partition by source, subscription_id order by valid_from, subscription_item_id)

),

numbered_terms as (

    select
        *,
        unnest(range(1, date_diff('month', anchor_at, stop_at) // term_months + 2)) as term

    from series
    where term_months >= {{ var('policies').renewal_min_term_months }} and anchor_at < stop_at

),

term_ends as (

    select
        source,
        subscription_id,
        account,
        currency,
        ended_at,
        stop_at,
        anchor_at + to_months(cast(term_months * term as integer)) as due_at

    from numbered_terms

),

due as (

    select
        *,
        {{ local_date('due_at') }} as due_on,
        least(due_at + interval 1 day, {{ as_of() }}) as checked_at

    from term_ends
    where due_at < stop_at and coalesce(due_at <= ended_at, true)

),

-- Who stops and comes back with another contract in time has renewed late.
successors as (

    select
        due.source,
        due.subscription_id,
        due.due_at,
        arg_min(
            struct_pack(
                source := contracts.source,
                subscription_id := contracts.subscription_id,
                started_at := contracts.started_at
            ),
            (contracts.started_at, contracts.source, contracts.subscription_id)
        ) as contract

    from due
    inner join contracts
        on
            due.account = contracts.account
            and due.due_at <= contracts.started_at
            and contracts.started_at < {{ as_of() }}
            and due.due_at + interval {{ var('policies').renewal_grace_days }} day > contracts.started_at
    group by all

),

worths as (

    select
        due.source,
        due.subscription_id,
        due.account,
        due.due_at,
        due.due_on,
        due.currency,
        coalesce(before_due.mrr, 0) as due_mrr,
        coalesce(after_due.mrr, 0) as kept_mrr,
        successors.contract.started_at as succeeded_at,
        coalesce(succeeding.mrr, 0) as succeeding_mrr,
        succeeding.currency as succeeding_currency

    from due
    left join spans as before_due
        on
            due.source = before_due.source
            and due.subscription_id = before_due.subscription_id
            and due.due_at > before_due.from_at
            and due.due_at <= coalesce(before_due.until_at, 'infinity')
    left join spans as after_due
        on
            due.source = after_due.source
            and due.subscription_id = after_due.subscription_id
            and due.checked_at > after_due.from_at
            and due.checked_at <= coalesce(after_due.until_at, 'infinity')
    left join successors
        on
            due.source = successors.source
            and due.subscription_id = successors.subscription_id
            and due.due_at = successors.due_at
    left join spans as succeeding
        on
            successors.contract.source = succeeding.source
            and successors.contract.subscription_id = succeeding.subscription_id
            and least(successors.contract.started_at + interval 1 day, {{ as_of() }}) > succeeding.from_at
            and least(successors.contract.started_at + interval 1 day, {{ as_of() }})
            <= coalesce(succeeding.until_at, 'infinity')

),

final as (

    select
        worths.source,
        worths.subscription_id,
        worths.account,
        worths.due_at,
        worths.due_on,
        {{ cents('worths.due_mrr * rates.rate') }} as amount_due,
        case
            when worths.kept_mrr > 0 then {{ cents('worths.kept_mrr * rates.rate') }}
            when worths.succeeding_mrr > 0 then {{ cents('worths.succeeding_mrr * succeeding_rates.rate') }}
            else 0
        end as amount_renewed,
        case
            when worths.kept_mrr > 0 then worths.due_at
            when worths.succeeding_mrr > 0 then worths.succeeded_at
        end as renewed_at,
        case
            when worths.kept_mrr > 0 then 'renewed'
            when worths.succeeding_mrr > 0 then 'renewed_late'
            when worths.due_at + interval {{ var('policies').renewal_grace_days }} day > {{ as_of() }}
                then 'pending'
            else 'lost'
        end as status

    from worths
    left join closing_rates as rates
        on
            date_trunc('month', worths.due_on) = rates.month
            and worths.currency = rates.currency
    left join closing_rates as succeeding_rates
        on
            date_trunc('month', worths.due_on) = succeeding_rates.month
            and worths.succeeding_currency = succeeding_rates.currency

)

select * from final
