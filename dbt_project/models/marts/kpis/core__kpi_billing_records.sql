{%- set later_measures = ['receivable_days', 'failures', 'failed_amount', 'recovered', 'recovered_amount'] -%}
{%- set grace = 'interval ' ~ var('policies').past_due_grace_days ~ ' day' -%}
with

months as (

    select * from {{ ref('core__kpi_months') }}

),

closing_rates as (

    select * from {{ ref('core__closing_rates') }}

),

billing_links as (

    select * from {{ ref('identity__billing_customers') }}

),

walk as (

    select * from {{ ref('core__revenue_walk') }}

),

all_invoices as (

    select * from {{ ref('billing__invoices') }}
    where not coalesce(is_deleted, false) and issued_at < {{ as_of() }}

),

attempts as (

    select * from {{ ref('billing__payments') }}
    where not coalesce(is_deleted, false) and attempted_at < {{ as_of() }}

),

refunds as (

    select * from {{ ref('billing__refunds') }}
    where not coalesce(is_deleted, false) and refunded_at < {{ as_of() }}

),

periods as (

    select
        period,
        period_start,
        any_value(t_end) as t_end,
        max(month) as closing_month,
        min(month) as first_month

    from months
    group by all

),

-- Payable within the days of grace where nothing says when.
invoices as (

    select
        all_invoices.source,
        all_invoices.invoice_id,
        billing_links.account,
        {{ currency_or_reporting('all_invoices.currency') }} as currency,
        all_invoices.status,
        all_invoices.issued_at,
        all_invoices.paid_at,
        {{ local_date('all_invoices.issued_at') }} as issued_on,
        coalesce(all_invoices.due_at, all_invoices.issued_at + {{ grace }}) as due_at,
        {{ collectible('all_invoices') }} as collectible

    from all_invoices
    left join billing_links
        on all_invoices.source = billing_links.source and all_invoices.customer_id = billing_links.customer_id
    where coalesce(all_invoices.status, 'open') not in ('draft', 'void') and collectible > 0

),

issued as (

    select
        invoices.*,
        {{ cents('invoices.collectible * closing_rates.rate') }} as amount,
        invoices.paid_at is not null or invoices.due_at < {{ as_of() }} as is_judged

    from invoices
    inner join closing_rates
        on
            date_trunc('month', invoices.issued_on) = closing_rates.month
            and invoices.currency = closing_rates.currency

),

-- What is given up is not owed.
owed as (

    select
        periods.period,
        periods.period_start,
        invoices.source,
        invoices.invoice_id,
        {{ cents(
            '(any_value(invoices.collectible) - coalesce(sum(attempts.amount), 0)) * any_value(closing_rates.rate)'
        ) }}
        * any_value(
            {{ local_date('periods.t_end - interval 1 microsecond') }} + 1 - periods.first_month
        ) as amount_days

    from periods
    inner join invoices
        on
            periods.t_end > invoices.issued_at
            and periods.t_end <= coalesce(invoices.paid_at, 'infinity')
            and invoices.status is distinct from 'uncollectible'
    inner join closing_rates
        on periods.closing_month = closing_rates.month and invoices.currency = closing_rates.currency
    left join attempts
        on
            invoices.source = attempts.source
            and invoices.invoice_id = attempts.invoice_id
            and attempts.status = 'succeeded'
            and periods.t_end > attempts.attempted_at
    group by periods.period, periods.period_start, invoices.source, invoices.invoice_id

),

first_attempts as (

    select
        source,
        invoice_id,
        arg_min(status, (attempted_at, payment_id)) as status,
        min(attempted_at) as failed_at

    from attempts
    where invoice_id is not null
    group by all

),

failures as (

    select
        first_attempts.source,
        first_attempts.invoice_id,
        {{ local_date('first_attempts.failed_at') }} as failed_on,
        coalesce(bool_or(
            attempts.status = 'succeeded' and attempts.attempted_at <= first_attempts.failed_at + {{ grace }}
        ), false) as is_recovered

    from first_attempts
    inner join attempts
        on first_attempts.source = attempts.source and first_attempts.invoice_id = attempts.invoice_id
    where first_attempts.status = 'failed'
    group by first_attempts.source, first_attempts.invoice_id, first_attempts.failed_at
    having is_recovered or first_attempts.failed_at + {{ grace }} < {{ as_of() }}

),

judged_failures as (

    select
        failures.source,
        failures.invoice_id,
        failures.failed_on,
        failures.is_recovered,
        invoices.account,
        {{ cents('invoices.collectible * closing_rates.rate') }} as amount

    from failures
    inner join invoices
        on failures.source = invoices.source and failures.invoice_id = invoices.invoice_id
    inner join closing_rates
        on
            date_trunc('month', failures.failed_on) = closing_rates.month
            and invoices.currency = closing_rates.currency

),

-- What was paid, and paid back, without the tax in it.
paid as (

    select
        attempts.source,
        attempts.payment_id,
        attempts.invoice_id,
        attempts.customer_id,
        attempts.currency,
        attempts.amount,
        attempts.attempted_at as at,
        1 as direction

    from attempts
    where attempts.status = 'succeeded'

    union all

    select
        refunds.source,
        refunds.payment_id,
        coalesce(refunds.invoice_id, attempts.invoice_id),
        attempts.customer_id,
        refunds.currency,
        refunds.amount,
        refunds.refunded_at,
        -1

    from refunds
    left join attempts
        on refunds.source = attempts.source and refunds.payment_id = attempts.payment_id

),

earned as (

    select
        billing_links.account,
        closing_rates.month,
        sum(paid.direction * case
            -- Most are paid at once, and need no fraction.
            when paid.amount = all_invoices.total and all_invoices.total > 0
                then {{ cents('(all_invoices.total - coalesce(all_invoices.tax, 0)) * closing_rates.rate') }}
            else {{ cents_of_fraction(
                ten_thousandths('paid.amount')
                ~ ' * cast(closing_rates.rate * 100000000 as hugeint) * case when all_invoices.total > 0 then '
                ~ ten_thousandths('all_invoices.total - coalesce(all_invoices.tax, 0)') ~ ' else 1 end',
                '1000000000000 * case when all_invoices.total > 0 then '
                ~ ten_thousandths('all_invoices.total') ~ ' else 1 end',
            ) }}
        end) as amount

    from paid
    inner join billing_links
        on paid.source = billing_links.source and paid.customer_id = billing_links.customer_id
    inner join closing_rates
        on
            date_trunc('month', {{ local_date('paid.at') }}) = closing_rates.month
            and {{ currency_or_reporting('paid.currency') }} = closing_rates.currency
    left join all_invoices
        on paid.source = all_invoices.source and paid.invoice_id = all_invoices.invoice_id
    group by all

),

issued_in as (

    select
        months.period,
        months.period_start,
        issued.source,
        issued.invoice_id,
        issued.account,
        issued.issued_on as happened_on,
        issued.amount as invoiced,
        1 as invoices,
        case when issued.is_judged then 1 end as judged,
        case when issued.is_judged then issued.amount end as judged_amount,
        case when issued.paid_at <= issued.due_at then issued.amount end as paid_in_terms

    from issued
    inner join months
        on date_trunc('month', issued.issued_on) = months.month

),

later as (

    select
        owed.period,
        owed.period_start,
        owed.source,
        owed.invoice_id,
        invoices.account,
        invoices.issued_on as happened_on,
        owed.amount_days as receivable_days

    from owed
    inner join invoices
        on owed.source = invoices.source and owed.invoice_id = invoices.invoice_id

    union all by name

    select
        months.period,
        months.period_start,
        judged_failures.source,
        judged_failures.invoice_id,
        judged_failures.account,
        judged_failures.failed_on as happened_on,
        1 as failures,
        judged_failures.amount as failed_amount,
        case when judged_failures.is_recovered then 1 end as recovered,
        case when judged_failures.is_recovered then judged_failures.amount end as recovered_amount

    from judged_failures
    inner join months
        on date_trunc('month', judged_failures.failed_on) = months.month

),

-- Joined rather than stacked: most invoices are only issued, and to group them all takes long.
later_in as (

    select
        {%- for measure in later_measures %}
        sum({{ measure }}) as {{ measure }},
        {%- endfor %}
        period,
        period_start,
        source,
        invoice_id,
        account,
        min(happened_on) as happened_on

    from later
    group by period, period_start, source, invoice_id, account

),

by_invoice as (

    select
        issued_in.invoiced,
        issued_in.invoices,
        issued_in.judged,
        issued_in.judged_amount,
        issued_in.paid_in_terms,
        {%- for measure in later_measures %}
        later_in.{{ measure }},
        {%- endfor %}
        coalesce(issued_in.period, later_in.period) as period,
        coalesce(issued_in.period_start, later_in.period_start) as period_start,
        coalesce(issued_in.source, later_in.source) as source,
        coalesce(issued_in.invoice_id, later_in.invoice_id) as record_id,
        coalesce(issued_in.account, later_in.account) as account,
        least(issued_in.happened_on, later_in.happened_on) as happened_on

    from issued_in
    full join later_in
        on
            issued_in.period = later_in.period
            and issued_in.period_start = later_in.period_start
            and issued_in.source = later_in.source
            and issued_in.invoice_id = later_in.invoice_id

),

earned_until as (

    select
        account,
        month,
        sum(amount) over until_month as earned,
        coalesce(lead(month) over until_month, 'infinity') as next_month

    from earned
    window until_month as (partition by account order by month)

),

earned_by as (

    select
        periods.period,
        periods.period_start,
        periods.closing_month,
        earned_until.account,
        earned_until.earned

    from periods
    inner join earned_until
        on periods.closing_month >= earned_until.month and periods.closing_month < earned_until.next_month

),

contracted as (

    select
        periods.period,
        periods.period_start,
        periods.closing_month,
        walk.account,
        walk.contracted_arr

    from periods
    inner join walk
        on periods.closing_month = walk.month
    where walk.contracted_arr <> 0

),

by_account as (

    select
        coalesce(earned_by.period, contracted.period) as period,
        coalesce(earned_by.period_start, contracted.period_start) as period_start,
        coalesce(earned_by.account, contracted.account) as account,
        coalesce(earned_by.closing_month, contracted.closing_month) as happened_on,
        earned_by.earned,
        case when earned_by.account is not null then 1 end as payers,
        contracted.contracted_arr

    from earned_by
    full join contracted
        on
            earned_by.period = contracted.period
            and earned_by.period_start = contracted.period_start
            and earned_by.account = contracted.account

),

facts as (

    select
        *,
        'invoice' as record_type

    from by_invoice

    union all by name

    select
        *,
        'account' as record_type,
        account as record_id

    from by_account

),

final as (

    select
        {%- for measure in billing_measures() %}
        coalesce({{ measure }}, 0) as {{ measure }},
        {%- endfor %}
        period,
        period_start,
        record_type,
        source,
        record_id,
        account,
        happened_on

    from facts

)

select * from final
