{{ contract_union('email', 'events') }}
