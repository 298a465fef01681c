-- The bridge says what happened in a month; the stretches of the subscriptions say when.
with

movements as (

    select * from {{ ref('core__mrr_monthly') }}

),

spans as (

    select * from {{ ref('core__subscription_spans') }}

),

closing_rates as (

    select * from {{ ref('core__closing_rates') }}

),

ends as (

    select source, subscription_id, account, currency, from_at as changed_at, mrr as change from spans
    union all
    select source, subscription_id, account, currency, until_at, -mrr from spans
    where until_at is not null

),

changes as (

    select
        source,
        subscription_id,
        account,
        currency,
        changed_at,
        cast(date_trunc('month', {{ local_date('changed_at') }}) as date) as month,
        sum(change) as change

    from ends
    where changed_at < {{ as_of() }}
    group by all
    having sum(change) <> 0

),

instants as (

    select
        changes.account,
        changes.month,
        changes.changed_at,
        sum(changes.change) as raw_change,
        sum(changes.change * closing_rates.rate) as change,
        arg_max(
            struct_pack(source := changes.source, subscription_id := changes.subscription_id),
            (abs(changes.change * closing_rates.rate), changes.source, changes.subscription_id)
        ) as record

    from changes
    left join closing_rates
        on changes.month = closing_rates.month and changes.currency = closing_rates.currency
    group by all

),

-- Amounts of several currencies add up to nothing but zero, which is all that is asked of them.
running as (

    select
        *,
        sum(raw_change) over (partition by account order by changed_at) as left_after

    from instants

),

steps as (

    select
        account,
        month,
        case
            when churn < 0 then 'churned'
            when reactivation > 0 then 'reactivated'
            when expansion > 0 then 'expanded'
            else 'contracted'
        end as step

    from movements
    where churn < 0 or reactivation > 0 or expansion > 0 or contraction < 0

),

dated as (

    select
        steps.account,
        steps.month,
        steps.step,
        case steps.step
            when 'churned' then max(running.changed_at) filter (where running.left_after = 0)
            when 'reactivated'
                then max(running.changed_at) filter (where running.left_after = running.raw_change)
            when 'expanded' then min(running.changed_at) filter (where running.change > 0)
            else min(running.changed_at) filter (where running.change < 0)
        end as occurred_at

    from steps
    inner join running
        on steps.account = running.account and steps.month = running.month
    group by steps.account, steps.month, steps.step

),

final as (

    select
        dated.account,
        dated.month,
        dated.step,
        dated.occurred_at,
        running.record.source,
        running.record.subscription_id,
        -- A return belongs to the loss it makes good.
        case
            when dated.step = 'reactivated'
                then max(dated.occurred_at) filter (where dated.step = 'churned') over (
                    partition by dated.account
                    order by dated.occurred_at rows between unbounded preceding and 1 preceding
                )
        end as churned_at

    from dated
    inner join running
        on dated.account = running.account and dated.occurred_at = running.changed_at

)

select * from final
