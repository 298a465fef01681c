with

raw_credit_notes as (

    select * from {{ raw_table('stripe', 'credit_notes') }}

),

final as (

    select
        source,
        id as credit_note_id,
        invoice_id,
        customer_id,
        {{ stripe_money('amount', 'currency') }} as amount,
        upper(currency) as currency,
        coalesce(is_deleted, false) or coalesce(status, 'issued') = 'void' as is_deleted,
        created as issued_at,
        _loaded_at as loaded_at

    from raw_credit_notes

)

select * from final
