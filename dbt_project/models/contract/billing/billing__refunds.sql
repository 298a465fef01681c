{{ contract_union('billing', 'refunds') }}
