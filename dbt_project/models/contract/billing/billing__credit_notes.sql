{{ contract_union('billing', 'credit_notes') }}
