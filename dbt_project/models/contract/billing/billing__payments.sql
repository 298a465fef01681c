{{ contract_union('billing', 'payments') }}
