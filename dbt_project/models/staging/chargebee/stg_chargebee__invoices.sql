with

raw_invoices as (

    select * from {{ raw_table('chargebee', 'invoices') }}

),

raw_lines as (

    select * from {{ raw_table('chargebee', 'invoice_lines') }}

),

-- An invoice of several subscriptions names none; if its lines are of one, it is that one's.
line_totals as (

    select
        source,
        invoice_id,
        case
            when min(subscription_id) = max(subscription_id) then min(subscription_id)
        end as subscription_id,
        sum(discount_amount) as discount

    from raw_lines
    group by all

),

-- What was written off counts as paid in Chargebee. Nobody paid it: it was given up, as a voided one is.
judged as (

    select
        *,
        case
            when status = 'paid' and write_off_amount > 0 and coalesce(amount_paid, 0) = 0 then 'voided'
            else status
        end as outcome

    from raw_invoices

),

final as (

    select
        judged.source,
        judged.id as invoice_id,
        judged.customer_id,
        coalesce(judged.subscription_id, line_totals.subscription_id) as subscription_id,
        judged.id as number,
        case judged.outcome
            when 'paid' then 'paid'
            when 'posted' then 'open'
            when 'payment_due' then 'open'
            when 'not_paid' then 'uncollectible'
            when 'voided' then 'void'
            when 'pending' then 'draft'
        end as status,
        -- Chargebee tells the first invoice of a subscription from the others, not a renewal from a change.
        case
            when coalesce(judged.subscription_id, line_totals.subscription_id) is null then 'manual'
            when judged.first_invoice then 'subscription_create'
        end as billing_reason,
        upper(judged.currency_code) as currency,
        {%- for column in ['sub_total', 'tax', 'total', 'amount_paid', 'credits_applied'] %}
        {{ chargebee_money('judged.' ~ column, 'judged.currency_code') }}
            as {{ 'subtotal' if column == 'sub_total' else column }},
        {%- endfor %}
        {{ chargebee_money('coalesce(line_totals.discount, 0)', 'judged.currency_code') }} as discount,
        -- What was to be paid: the total less credits, whether it has been paid or not.
        {{ chargebee_money(
            'judged.total - coalesce(judged.credits_applied, 0)'
            ~ ' - coalesce(judged.amount_adjusted, 0)', 'judged.currency_code'
        ) }} as amount_due,
        coalesce(judged.is_deleted, false) as is_deleted,
        judged.date as issued_at,
        judged.due_date as due_at,
        case when judged.outcome = 'paid' then judged.paid_at end as paid_at,
        case
            when judged.outcome = 'voided'
                then coalesce(judged.voided_at, judged.paid_at, judged.updated_at)
        end as voided_at,
        judged.updated_at,
        judged._loaded_at as loaded_at

    from judged
    left join line_totals
        on judged.id = line_totals.invoice_id and judged.source = line_totals.source

)

select * from final
