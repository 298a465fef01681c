{{ contract_union('crm', 'leads') }}
