{{ contract_union('email', 'recipients') }}
