{{ contract_union('billing', 'subscription_items') }}
