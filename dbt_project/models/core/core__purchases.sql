-- What companies without a contract bought: nobody tells when such a customer has left.
with

invoices as (

    select * from {{ ref('billing__invoices') }}
    where
        not coalesce(is_deleted, false)
        and status in ('open', 'paid')
        and issued_at < {{ as_of() }}

),

credit_notes as (

    select
        source,
        invoice_id,
        sum(amount) as amount

    from {{ ref('billing__credit_notes') }}
    where not coalesce(is_deleted, false) and issued_at < {{ as_of() }}
    group by all

),

billing_links as (

    select * from {{ ref('identity__billing_customers') }}

),

contracts as (

    select distinct billing_links.account

    from {{ ref('billing__subscriptions') }} as subscriptions
    inner join billing_links
        on
            subscriptions.source = billing_links.source
            and subscriptions.customer_id = billing_links.customer_id

),

closing_rates as (

    select * from {{ ref('core__closing_rates') }}

),

bought as (

    select
        billing_links.account,
        cast({{ local_date('invoices.issued_at') }} as date) as purchased_on,
        {{ currency_or_reporting('invoices.currency') }} as currency_code,
        invoices.total - coalesce(invoices.tax, 0) - coalesce(credit_notes.amount, 0) as amount

    from invoices
    inner join billing_links
        on invoices.source = billing_links.source and invoices.customer_id = billing_links.customer_id
    left join credit_notes
        on invoices.source = credit_notes.source and invoices.invoice_id = credit_notes.invoice_id
    where billing_links.account not in (select contracts.account from contracts)

),

final as (

    select
        bought.account,
        bought.purchased_on,
        {{ last_day() }} as known_until,
        sum({{ cents('bought.amount * closing_rates.rate') }}) as amount

    from bought
    inner join closing_rates
        on
            date_trunc('month', bought.purchased_on) = closing_rates.month
            and bought.currency_code = closing_rates.currency
    where bought.amount > 0
    group by all

)

select * from final
