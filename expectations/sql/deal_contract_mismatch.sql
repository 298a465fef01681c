-- Won deals that are worth another amount a year than the subscription they were billed as. A deal may be written down
-- before or after the discounts that billing gives.
with contracts as (
    select
        opportunities.source,
        opportunities.opportunity_id,
        arg_min(spans, spans.from_at) as contract
    from gate_opportunities as opportunities
    inner join gate_spans as spans
        on
            opportunities.billing_subscription_id = spans.subscription_id
            and coalesce(opportunities.closed_at < spans.until_at, true)
    where opportunities.outcome = 'won' and spans.list_mrr > 0
    group by all
),

compared as (
    select
        opportunities.*,
        contracts.contract,
        greatest(
            opportunities.amount_local - 12 * contracts.contract.list_mrr,
            12 * contracts.contract.net_mrr - opportunities.amount_local
        ) as difference
    from gate_opportunities as opportunities
    inner join contracts
        on opportunities.source = contracts.source and opportunities.opportunity_id = contracts.opportunity_id
)

select
    compared.opportunity_id as key_left,
    compared.worth as value_left,
    compared.contract.subscription_id as key_right,
    12 * compared.contract.net_mrr || ' ' || compared.contract.currency || ' a year'
    || case
        when compared.contract.net_mrr < compared.contract.list_mrr
            then ', ' || 12 * compared.contract.list_mrr || ' before discounts'
        else ''
    end as value_right,
    compared.account,
    round(compared.difference * rates.rate, 2) as money_at_risk
from compared
left join gate_rates as rates
    on compared.currency = rates.currency
where
    compared.currency = compared.contract.currency
    and compared.difference > 50
    and compared.difference > 12 * compared.contract.net_mrr / 100
