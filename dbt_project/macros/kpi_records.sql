{#- What KPIs count, record by record: each measure once, for the sums in core.kpi_<subject> and for the records behind
    them. -#}

{#- Of a closed opportunity. -#}
{% macro sale_measures() -%}
{%- do return({
    'won': "cast(outcome = 'won' as integer)",
    'lost': "cast(outcome = 'lost' as integer)",
    'won_value': "case when outcome = 'won' then amount end",
    'lost_value': "case when outcome = 'lost' then amount end",
    'won_amounts': "cast(outcome = 'won' and amount is not null as integer)",
    'lost_amounts': "cast(outcome = 'lost' and amount is not null as integer)",
    'cycles': "cast(outcome = 'won' and coalesce(cycle_days >= 0, false) as integer)",
    'cycle_days': "case when outcome = 'won' and cycle_days >= 0"
    ~ " then cycle_days end",
}) -%}
{%- endmacro %}


{#- Of an account in a month: an amount, or what is counted where it holds. `when`: only in the period's first or last
    month. `once`: an account counts once a period. -#}
{% macro revenue_measures() -%}
{%- do return({
    'mrr': {'amount': 'movements.closing', 'when': 'is_closing'},
    'paying': {'holds': 'movements.closing > 0', 'when': 'is_closing'},
    'opening': {'amount': 'movements.opening', 'when': 'is_opening'},
    'opened': {'holds': 'movements.opening > 0', 'when': 'is_opening'},
    'new_mrr': {'amount': 'movements."new"'},
    'new_accounts': {'holds': 'movements."new" > 0'},
    'reactivation': {'amount': 'movements.reactivation'},
    'expansion': {'amount': 'movements.expansion'},
    'upsold': {'holds': 'movements.expansion > 0', 'once': true},
    'lost': {'amount': '-(movements.churn + movements.contraction)'},
    'churned': {'holds': 'movements.churn < 0'},
    'involuntary': {'amount': 'case when movements.is_involuntary then -movements.churn end'},
}) -%}
{%- endmacro %}


{#- One of them over the rows of a group that joins `months` and `movements`. -#}
{% macro revenue_sum(measure) -%}
{%- set filters = [measure.holds] if measure.holds else [] -%}
{%- set filters = filters + (['months.' ~ measure.when] if measure.when else []) -%}
{%- if measure.amount -%}
sum({{ measure.amount }})
{%- else -%}
count({{ 'distinct movements.account' if measure.once else '*' }})
{%- endif -%}
{%- if filters %} filter (where {{ filters | join(' and ') }}){% endif -%}
{%- endmacro %}


{#- Accounts that began and stopped to pay within a month (P12), which the bridge cannot see: of the CTEs `months`,
    `movements` and `spans`. -#}
{% macro brief_stays() -%}
select distinct
    months.month,
    spans.account

from months
inner join spans
    on
        months.month = cast(date_trunc('month', {{ local_date('spans.from_at') }}) as date)
        and months.t_end > spans.until_at
left join movements
    on months.month = movements.month and spans.account = movements.account
where months.period = 'month' and spans.mrr > 0 and movements.account is null
{%- endmacro %}


{#- What is left, a month and account, of the MRR of a year ago: of the CTEs `months`, `account_mrr`, `closing_rates` and
    `movements`. Then at the rates of now: what currencies did is no retention. -#}
{% macro retained_mrr() -%}
with year_ago as (

    select
        months.month,
        account_mrr.account,
        sum(cast(account_mrr.mrr * rates.rate as decimal(38, 2))) as mrr

    from months
    inner join account_mrr
        on months.month = account_mrr.month + interval 12 month
    inner join closing_rates as rates
        on months.month = rates.month and account_mrr.currency = rates.currency
    where months.period = 'month'
    group by all

)

select
    year_ago.month,
    year_ago.account,
    year_ago.mrr as mrr_year_ago,
    coalesce(movements.closing, 0) as retained_net,
    case when movements.closing > 0 then least(movements.closing, year_ago.mrr) else 0 end as retained_gross

from year_ago
left join movements
    on year_ago.month = movements.month and year_ago.account = movements.account
where year_ago.mrr > 0
{%- endmacro %}


{#- Messages, and what became of each, of a CTE of e-mail events. -#}
{% macro email_messages(events) -%}
select
    source,
    campaign_id,
    recipient_id,
    message_id,
    coalesce(min(occurred_at) filter (where event_type = 'sent'), min(occurred_at)) as sent_at,
    bool_or(event_type in ('sent', 'delivered', 'bounce')) as is_sent,
    bool_or(event_type = 'bounce') and not bool_or(event_type = 'delivered') as is_bounced,
    bool_or(event_type = 'open') as is_opened,
    bool_or(event_type = 'open' and not is_machine) as is_opened_by_people,
    bool_or(event_type = 'click' and not is_machine) as is_clicked,
    bool_or(event_type = 'reply' and not is_machine) as is_replied,
    bool_or(event_type = 'reply' and is_machine) as is_auto_replied,
    bool_or(event_type = 'unsubscribe') as is_unsubscribed,
    bool_or(event_type = 'complaint') as is_complained

from {{ events }}
group by all
{%- endmacro %}


{#- What is counted of a message, for core.kpi_email. -#}
{% macro message_measures() -%}
{%- do return({
    'sent': 'is_sent',
    'bounced': 'is_bounced',
    'delivered': 'is_sent and not is_bounced',
    'opened': 'is_opened',
    'machine_opened': 'is_opened and not is_opened_by_people',
    'clicked': 'is_clicked',
    'replied': 'is_replied',
    'auto_replied': 'is_auto_replied',
    'unsubscribed': 'is_unsubscribed',
    'complained': 'is_complained',
}) -%}
{%- endmacro %}


{#- Of an invoice, or of an account at a period's end, for core.kpi_billing. -#}
{% macro billing_measures() -%}
{%- do return([
    'receivable_days', 'invoiced', 'invoices', 'judged', 'judged_amount', 'paid_in_terms', 'failures', 'failed_amount',
    'recovered', 'recovered_amount', 'earned', 'payers', 'contracted_arr',
]) -%}
{%- endmacro %}
