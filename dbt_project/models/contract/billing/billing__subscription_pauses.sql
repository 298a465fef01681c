{{ contract_union('billing', 'subscription_pauses') }}
