with

raw_credit_notes as (

    select * from {{ raw_table('chargebee', 'credit_notes') }}

),

final as (

    select
        source,
        id as credit_note_id,
        reference_invoice_id as invoice_id,
        customer_id,
        reason_code,
        {{ chargebee_money('total', 'currency_code') }} as amount,
        upper(currency_code) as currency,
        coalesce(is_deleted, false) or coalesce(status = 'voided', false) as is_deleted,
        coalesce(date, generated_at) as issued_at,
        updated_at,
        _loaded_at as loaded_at

    from raw_credit_notes

)

select * from final
