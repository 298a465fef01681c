{%- set steps = ['mrr'] -%}
{%- for part in mrr_to_cash() %}{% do steps.extend(part.steps) %}{% endfor -%}
-- Money is compared in its own currency and turned into the reporting currency at the month's closing rate,
-- running sum by running sum, so that rounding never opens a gap between two steps.
with

calendar as (

    select * from {{ ref('core__calendar') }}
    where period = 'month'

),

spans as (

    select * from {{ ref('core__subscription_spans') }}

),

billed as (

    select * from {{ ref('core__billed_mrr') }}

),

movements as (

    select * from {{ ref('core__mrr_monthly') }}

),

closing_rates as (

    select * from {{ ref('core__closing_rates') }}

),

billing_links as (

    select * from {{ ref('identity__billing_customers') }}

),

subscriptions as (

    select * from {{ ref('billing__subscriptions') }}
    where not coalesce(is_deleted, false)

),

invoices as (

    select
        all_invoices.source,
        all_invoices.invoice_id,
        all_invoices.subtotal,
        all_invoices.discount,
        all_invoices.tax,
        all_invoices.total,
        all_invoices.paid_at,
        {{ currency_or_reporting('all_invoices.currency') }} as currency_code,
        coalesce(billing_links.account, '(none)') as account,
        cast(date_trunc('month', {{ local_date('all_invoices.issued_at') }}) as date) as month,
        cast(date_trunc('month', {{ local_date('all_invoices.paid_at') }}) as date) as paid_month,
        {{ collectible('all_invoices') }} as collectible

    from {{ ref('billing__invoices') }} as all_invoices
    left join billing_links
        on all_invoices.source = billing_links.source and all_invoices.customer_id = billing_links.customer_id
    where
        not coalesce(all_invoices.is_deleted, false)
        and coalesce(all_invoices.status, 'open') not in ('draft', 'void')
        and all_invoices.issued_at < {{ as_of() }}

),

lines as (

    select * from {{ ref('billing__invoice_lines') }}
    where not coalesce(is_deleted, false)

),

credit_notes as (

    select * from {{ ref('billing__credit_notes') }}
    where not coalesce(is_deleted, false) and issued_at < {{ as_of() }}

),

payments as (

    select * from {{ ref('billing__payments') }}
    where not coalesce(is_deleted, false) and status = 'succeeded' and attempted_at < {{ as_of() }}

),

refunds as (

    select * from {{ ref('billing__refunds') }}
    where not coalesce(is_deleted, false) and refunded_at < {{ as_of() }}

),

opportunities as (

    select * from {{ ref('core__opportunities') }}
    where outcome = 'won' and closed_at < {{ as_of() }}

),

-- ------------------------------------------------------------ from MRR to what invoices say it is

at_end as (

    select
        calendar.period_start as month,
        spans.source,
        spans.subscription_id,
        spans.account,
        spans.currency,
        spans.mrr,
        spans.full_mrr,
        spans.list_mrr,
        spans.is_past_grace

    from spans
    inner join calendar
        on spans.from_at < calendar.t_end and coalesce(spans.until_at, 'infinity') >= calendar.t_end
    where spans.full_mrr > 0

),

first_issues as (

    select
        lines.source,
        lines.subscription_id,
        min(invoices.month) as month

    from lines
    inner join invoices
        on lines.source = invoices.source and lines.invoice_id = invoices.invoice_id
    where lines.subscription_id is not null
    group by all

),

known as (

    select
        source,
        subscription_id,
        any_value(account) as account

    from spans
    group by all

),

-- What the contract was worth when the invoiced term began.
billed_terms as (

    select
        billed.month,
        billed.source,
        billed.subscription_id,
        billed.currency,
        coalesce(known.account, billing_links.account, '(none)') as account,
        known.subscription_id is not null as is_known,
        billed.billed_mrr,
        coalesce(billed.term_start < spans.until_at, spans.from_at is not null) as is_in_force,
        case when is_in_force then spans.full_mrr else 0 end as term_mrr,
        case when is_in_force then spans.invoiced_mrr else 0 end - term_mrr as not_counted

    from billed
    left join known
        on billed.source = known.source and billed.subscription_id = known.subscription_id
    asof left join spans
        on
            billed.source = spans.source
            and billed.subscription_id = spans.subscription_id
            and billed.currency = spans.currency
            and billed.term_start >= spans.from_at
    left join billing_links
        on billed.source = billing_links.source and billed.customer_id = billing_links.customer_id

),

compared as (

    select
        coalesce(at_end.month, billed_terms.month) as month,
        coalesce(at_end.account, billed_terms.account) as account,
        coalesce(at_end.currency, billed_terms.currency) as currency,
        coalesce(at_end.mrr, 0) as mrr,
        coalesce(at_end.full_mrr, 0) as full_mrr,
        coalesce(at_end.is_past_grace, false) as is_past_grace,
        billed_terms.billed_mrr,
        billed_terms.term_mrr,
        billed_terms.not_counted,
        coalesce(billed_terms.is_known, true) as is_known,
        coalesce(first_issues.month <= at_end.month, false) as is_invoiced

    from at_end
    full join billed_terms
        on
            at_end.month = billed_terms.month
            and at_end.source = billed_terms.source
            and at_end.subscription_id = billed_terms.subscription_id
            and at_end.currency = billed_terms.currency
    left join first_issues
        on at_end.source = first_issues.source and at_end.subscription_id = first_issues.subscription_id

),

mrr_amounts as (

    select
        month,
        account,
        currency,
        mrr,
        case when billed_mrr is not null and not is_past_grace then full_mrr - mrr end as paused,
        case when billed_mrr is not null and is_past_grace then full_mrr - mrr end as past_grace,
        case when is_known and full_mrr > 0 then term_mrr - full_mrr end as changed,
        case when is_known and full_mrr = 0 then term_mrr end as ended,
        case when is_known then not_counted end as not_counted,
        case when billed_mrr is null and is_invoiced then -mrr end as not_invoiced,
        case when billed_mrr is null and not is_invoiced then -mrr end as never_invoiced,
        case when not is_known then billed_mrr end as without_subscription,
        case when is_known then billed_mrr - term_mrr - not_counted end as billing_residual,
        -billed_mrr as terms

    from compared

),

-- ------------------------------------------------------------ from billed MRR to invoices and cash

line_sums as (

    select
        source,
        invoice_id,
        sum(amount) filter (where coalesce(is_recurring, true) and not coalesce(is_proration, false))
            as terms,
        sum(amount) filter (where coalesce(is_proration, false)) as prorations,
        sum(amount) filter (where not coalesce(is_recurring, true) and not coalesce(is_proration, false))
            as one_off,
        sum(discount_amount) as discount

    from lines
    group by all

),

issued_amounts as (

    select
        invoices.month,
        invoices.account,
        invoices.currency_code as currency,
        line_sums.terms,
        line_sums.prorations,
        line_sums.one_off,
        -coalesce(invoices.discount, line_sums.discount, 0) as discounts,
        -- Prices may include it.
        case
            when invoices.total = invoices.subtotal - coalesce(invoices.discount, 0) then 0
            else coalesce(invoices.tax, 0)
        end as tax,
        invoices.total
        - coalesce(line_sums.terms, 0) - coalesce(line_sums.prorations, 0) - coalesce(line_sums.one_off, 0)
        - discounts - tax as invoicing_residual,
        invoices.collectible - invoices.total as credits_left,
        case when coalesce(invoices.paid_at >= calendar.t_end, true) then -invoices.collectible end as unpaid,
        case when invoices.paid_at < calendar.t_end then -invoices.collectible end as cash_residual

    from invoices
    inner join calendar
        on invoices.month = calendar.period_start
    left join line_sums
        on invoices.source = line_sums.source and invoices.invoice_id = line_sums.invoice_id

),

later_amounts as (

    select
        paid_month as month,
        account,
        currency_code as currency,
        collectible as collected_earlier,
        -collectible as cash_residual

    from invoices
    where paid_month > month and paid_at < {{ as_of() }}

),

credit_amounts as (

    select
        cast(date_trunc('month', {{ local_date('credit_notes.issued_at') }}) as date) as month,
        coalesce(billing_links.account, '(none)') as account,
        {{ currency_or_reporting('credit_notes.currency') }} as currency,
        -credit_notes.amount as credit_notes,
        credit_notes.amount as credits_left

    from credit_notes
    left join billing_links
        on credit_notes.source = billing_links.source and credit_notes.customer_id = billing_links.customer_id

),

invoice_amounts as (

    select * from issued_amounts
    union all by name
    select * from later_amounts
    union all by name
    select * from credit_amounts

),

cash_amounts as (

    select
        cast(date_trunc('month', {{ local_date('payments.attempted_at') }}) as date) as month,
        coalesce(billing_links.account, invoices.account, '(none)') as account,
        {{ currency_or_reporting('payments.currency') }} as currency,
        payments.amount as cash_residual,
        cast(null as decimal(18, 4)) as refunds

    from payments
    left join billing_links
        on payments.source = billing_links.source and payments.customer_id = billing_links.customer_id
    left join invoices
        on payments.source = invoices.source and payments.invoice_id = invoices.invoice_id

    union all

    select
        cast(date_trunc('month', {{ local_date('refunds.refunded_at') }}) as date),
        coalesce(billing_links.account, invoices.account, '(none)'),
        {{ currency_or_reporting('refunds.currency') }},
        null,
        -refunds.amount

    from refunds
    left join payments
        on refunds.source = payments.source and refunds.payment_id = payments.payment_id
    left join billing_links
        on payments.source = billing_links.source and payments.customer_id = billing_links.customer_id
    left join invoices
        on refunds.source = invoices.source and refunds.invoice_id = invoices.invoice_id

),

-- One table of all their columns would be mostly empty, and take thrice as long to sum up.
{%- for part, its_steps in walk_parts().items() %}

{{ part }}_sums as (

    select
        {%- for step in its_steps %}
        sum({{ step }}) as {{ step }},
        {%- endfor %}
        month,
        account,
        currency

    from {{ part }}_amounts
    group by month, account, currency

),
{%- endfor %}

in_currency as (

    select
        {%- for step in steps %}
        {{ sum_of_parts(step) }} as {{ step }},
        {%- endfor %}
        month,
        account,
        currency

    from mrr_sums
    full join invoice_sums using (month, account, currency)
    full join cash_sums using (month, account, currency)

),

-- The rounding of a running sum costs most of it; where a step is nothing, so is its part.
converted as (

    select
        {%- set above = [] %}
        {%- for step in steps %}
        {%- set before = above | join(' + ') %}
        {%- do above.append('in_currency.' ~ step) %}
        case
            when in_currency.{{ step }} = 0 then 0
            else
                {{ cents('(' ~ above | join(' + ') ~ ') * closing_rates.rate') }}
                {%- if before %}
                - {{ cents('(' ~ before ~ ') * closing_rates.rate') }}
                {%- endif %}
        end as {{ step }},
        {%- endfor %}
        in_currency.month,
        in_currency.account

    from in_currency
    inner join closing_rates
        on in_currency.month = closing_rates.month and in_currency.currency = closing_rates.currency

),

step_sums as (

    select
        {%- for step in steps %}
        sum({{ step }}) as {{ step }},
        {%- endfor %}
        month,
        account

    from converted
    group by month, account

),

from_mrr as (

    select
        {%- set above = ['mrr'] %}
        {%- for part in mrr_to_cash() %}
        {%- do above.extend(part.steps) %}
        {{ above | join(' + ') }} as {{ part.subtotal }},
        {%- endfor %}
        *

    from step_sums

),

-- ------------------------------------------------------------ from bookings to contracted ARR

live_spans as (

    select * from spans
    where full_mrr > 0

),

named as (

    select
        opportunities.source,
        opportunities.opportunity_id,
        min(live_spans.from_at) as live_at,
        min(subscriptions.ended_at) as ended_at

    from opportunities
    inner join subscriptions
        on opportunities.billing_subscription_id = subscriptions.subscription_id
    left join live_spans
        on
            subscriptions.source = live_spans.source
            and subscriptions.subscription_id = live_spans.subscription_id
    group by all

),

-- A deal that names no subscription is live once its customer has one.
unnamed as (

    select
        opportunities.source,
        opportunities.opportunity_id,
        min(greatest(live_spans.from_at, opportunities.closed_at)) as live_at

    from opportunities
    inner join live_spans
        on
            opportunities.account = live_spans.account
            and coalesce(opportunities.closed_at < live_spans.until_at, true)
    group by all

),

deals as (

    select
        opportunities.account,
        opportunities.amount,
        opportunities.closed_at,
        case when named.opportunity_id is null then unnamed.live_at else named.live_at end as live_at,
        named.ended_at

    from opportunities
    left join named
        on opportunities.source = named.source and opportunities.opportunity_id = named.opportunity_id
    left join unnamed
        on opportunities.source = unnamed.source and opportunities.opportunity_id = unnamed.opportunity_id
    where
        opportunities.account is not null
        and (
            named.opportunity_id is not null
            or coalesce(opportunities.opportunity_type, 'new_business') = 'new_business'
        )

),

-- Subscriptions that begin later and that no deal names.
orders as (

    select
        subscriptions.source,
        subscriptions.subscription_id,
        subscriptions.created_at,
        subscriptions.ended_at,
        min(live_spans.from_at) as live_at,
        arg_min(live_spans.account, live_spans.from_at) as account,
        arg_min(live_spans.currency, live_spans.from_at) as currency,
        arg_min(live_spans.full_mrr, live_spans.from_at) as full_mrr

    from subscriptions
    inner join live_spans
        on
            subscriptions.source = live_spans.source
            and subscriptions.subscription_id = live_spans.subscription_id
    where
        subscriptions.trial_end is null
        and subscriptions.created_at < subscriptions.started_at
        and subscriptions.subscription_id not in (
            select sold.billing_subscription_id
            from opportunities as sold
            where sold.billing_subscription_id is not null
        )
    group by all

),

not_live as (

    select
        calendar.period_start as month,
        deals.account,
        deals.amount

    from deals
    inner join calendar
        on
            deals.closed_at < calendar.t_end
            and coalesce(least(deals.live_at, deals.ended_at), 'infinity') >= calendar.t_end

    union all

    select
        calendar.period_start,
        orders.account,
        {{ cents('12 * orders.full_mrr * closing_rates.rate') }}

    from orders
    inner join calendar
        on
            orders.created_at < calendar.t_end
            and orders.live_at >= calendar.t_end
            and coalesce(orders.ended_at >= calendar.t_end, true)
    inner join closing_rates
        on calendar.period_start = closing_rates.month and orders.currency = closing_rates.currency

),

signed as (

    select
        month,
        account,
        sum(amount) as not_live

    from not_live
    group by all

),

both_ends as (

    select month, account, not_live, 0 as not_live_before from signed
    union all
    select cast(signed.month + interval 1 month as date), signed.account, 0, signed.not_live
    from signed
    inner join calendar
        on signed.month + interval 1 month = calendar.period_start

),

-- What discounts take off at a month's end, and took off at its beginning.
given as (

    select
        at_end.month,
        at_end.account,
        sum({{ cents('(at_end.list_mrr - at_end.full_mrr) * closing_rates.rate') }}) as discount

    from at_end
    inner join closing_rates
        on at_end.month = closing_rates.month and at_end.currency = closing_rates.currency
    where at_end.mrr > 0 and at_end.list_mrr <> at_end.full_mrr
    group by all

),

not_live_sums as (

    select
        month,
        account,
        sum(not_live) as not_live,
        sum(not_live_before) as not_live_before

    from both_ends
    group by month, account

),

discount_changes as (

    select month, account, discount from given
    union all
    select cast(given.month + interval 1 month as date), given.account, -given.discount
    from given
    inner join calendar
        on given.month + interval 1 month = calendar.period_start

),

discount_sums as (

    select
        month,
        account,
        sum(discount) as discount

    from discount_changes
    group by month, account

),

booking_sums as (

    select
        cast(date_trunc('month', closed_on) as date) as month,
        coalesce(account, '(none)') as account,
        sum(amount) as bookings,
        -sum(amount) filter (where opportunity_type = 'renewal') as renewals_booked

    from opportunities
    group by all

),

by_account as (

    select
        month,
        account,
        coalesce(not_live_sums.not_live, 0) as not_live,
        coalesce(not_live_sums.not_live_before, 0) as not_live_before,
        coalesce(12 * (movements."new" + movements.reactivation + movements.expansion), 0) as gained,
        coalesce(12 * (movements.contraction + movements.churn), 0) as lost,
        coalesce(12 * movements.fx, 0) as fx,
        coalesce(12 * movements.opening, 0) as arr_before,
        coalesce(discount_sums.discount, 0) as discount,
        coalesce(booking_sums.bookings, 0) as bookings,
        coalesce(booking_sums.renewals_booked, 0) as renewals_booked

    from movements
    full join not_live_sums using (month, account)
    full join discount_sums using (month, account)
    full join booking_sums using (month, account)

),

judged as (

    select
        *,
        arr_before + not_live_before as contracted_before,
        gained + not_live - not_live_before as growth,
        bookings + renewals_booked as booked,
        case when booked > 0 and gained > 0 then -12 * discount else 0 end as booked_discounts

    from by_account

),

to_arr as (

    select
        month,
        account,
        contracted_before,
        bookings,
        renewals_booked,
        booked_discounts,
        case when growth = 0 then -booked else 0 end as booked_not_contracted,
        case when booked = 0 and not_live_before = 0 then growth else 0 end as gained_unbooked,
        case when booked = 0 and not_live_before <> 0 then growth else 0 end as live_otherwise,
        lost,
        fx,
        case when booked <> 0 and growth <> 0 then growth - booked - booked_discounts else 0 end
            as bookings_residual,
        -not_live as signed_not_live

    from judged

),

final as (

    select
        coalesce(to_arr.month, from_mrr.month) as month,
        coalesce(to_arr.account, from_mrr.account) as account,
        {%- for name in ['contracted_before'] + bookings_to_arr() %}
        cast(coalesce(to_arr.{{ name }}, 0) as decimal(18, 2)) as {{ name }},
        {%- endfor %}
        {%- for name in steps + (mrr_to_cash() | map(attribute='subtotal') | list) %}
        cast(coalesce(from_mrr.{{ name }}, 0) as decimal(18, 2)) as {{ name }},
        {%- endfor %}
        cast(coalesce(to_arr.signed_not_live, 0) as decimal(18, 2)) as signed_not_live,
        cast(
            12 * coalesce(from_mrr.mrr, 0) - coalesce(to_arr.signed_not_live, 0) as decimal(18, 2)
        ) as contracted_arr

    from to_arr
    full join from_mrr
        on to_arr.month = from_mrr.month and to_arr.account = from_mrr.account

)

select * from final
