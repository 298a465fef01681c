{{ contract_union('crm', 'owners') }}
