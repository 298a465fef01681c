-- MRR as the invoices know it: neither subscriptions, items nor discounts are asked. A line is worth its net
-- amount over its own service period, which says whether it was for months, weeks or days.
with

calendar as (

    select * from {{ ref('core__calendar') }}
    where period = 'month'

),

invoices as (

    select * from {{ ref('billing__invoices') }}
    where
        not coalesce(is_deleted, false)
        and coalesce(status, 'open') not in ('draft', 'void')
        and issued_at < {{ as_of() }}

),

prices as (

    select * from {{ ref('billing__prices') }}

),

all_lines as (

    select * from {{ ref('billing__invoice_lines') }}
    where
        not coalesce(is_deleted, false)
        and coalesce(is_recurring, true)
        and not coalesce(is_proration, false)
        and period_start < period_end

),

lines as (

    select
        all_lines.source,
        all_lines.subscription_id,
        invoices.invoice_id,
        invoices.customer_id,
        {{ currency_or_reporting('coalesce(all_lines.currency, invoices.currency)') }} as currency,
        invoices.issued_at,
        all_lines.period_start,
        all_lines.period_end,
        timezone('UTC', all_lines.period_start) as starts,
        timezone('UTC', all_lines.period_end) as ends,
        {{ ten_thousandths('all_lines.amount - coalesce(all_lines.discount_amount, 0)') }} as net,
        -- What includes tax is worth that much less.
        case
            when invoices.tax > 0 and invoices.total = invoices.subtotal - coalesce(invoices.discount, 0)
                then {{ ten_thousandths('invoices.total - invoices.tax') }}
            else 1
        end as untaxed,
        case
            when invoices.tax > 0 and invoices.total = invoices.subtotal - coalesce(invoices.discount, 0)
                then {{ ten_thousandths('invoices.total') }}
            else 1
        end as untaxed_of

    from all_lines
    inner join invoices
        on all_lines.source = invoices.source and all_lines.invoice_id = invoices.invoice_id
    left join prices
        on all_lines.source = prices.source and all_lines.price_id = prices.price_id
    where coalesce(prices.usage_type, 'licensed') <> 'metered'

),

-- Months of a term that began on a 31st end on shorter months' last days.
measured as (

    select
        *,
        datediff('month', starts, ends) as months,
        datediff('day', starts, ends) as days,
        months > 0 and (
            day(starts) = day(ends)
            or (cast(starts as date) = last_day(starts) and day(ends) >= day(starts))
            or (cast(ends as date) = last_day(ends) and day(starts) >= day(ends))
        ) as is_of_months

    from lines

),

terms as (

    select
        *,
        cast(case when is_of_months then 12 when days % 7 = 0 and days > 0 then 52 else 365 end as hugeint)
            as charges_a_year,
        cast(
            case
                when is_of_months then months
                when days % 7 = 0 and days > 0 then days // 7
                else greatest(days, 1)
            end as hugeint
        ) as term

    from measured

),

-- A term that began later has taken the place of one that is not over.
in_force as (

    select
        calendar.period_start as month,
        terms.*

    from terms
    inner join calendar
        on
            terms.period_start < calendar.t_end
            and terms.period_end >= calendar.t_end
            and terms.issued_at < calendar.t_end
    qualify
        terms.period_start = max(terms.period_start) over (
            partition by
                calendar.period_start, terms.source, coalesce(terms.subscription_id, terms.invoice_id)
        )

),

by_length as (

    select
        month,
        source,
        subscription_id,
        customer_id,
        currency,
        period_start as term_start,
        greatest(sum(net * charges_a_year * untaxed), 0) as numerator,
        12 * term * untaxed_of * 10000 as denominator

    from in_force
    group by month, source, subscription_id, customer_id, currency, period_start, term, untaxed_of

),

final as (

    select
        month,
        source,
        subscription_id,
        customer_id,
        currency,
        term_start,
        cast(sum({{ cents_of_fraction('numerator', 'denominator') }}) as decimal(18, 2)) as billed_mrr

    from by_length
    group by all

)

select * from final
