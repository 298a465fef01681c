{{ contract_union('email', 'leads') }}
