{{ contract_union('billing', 'invoice_lines') }}
