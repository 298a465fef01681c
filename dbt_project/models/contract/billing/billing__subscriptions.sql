{{ contract_union('billing', 'subscriptions') }}
