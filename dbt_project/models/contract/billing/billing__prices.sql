{{ contract_union('billing', 'prices') }}
