{{ contract_union('crm', 'accounts') }}
