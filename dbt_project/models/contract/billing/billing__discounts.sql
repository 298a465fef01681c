{{ contract_union('billing', 'discounts') }}
