{{ contract_union('billing', 'customers') }}
