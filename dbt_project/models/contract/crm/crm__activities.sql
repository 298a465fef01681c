{{ contract_union('crm', 'activities') }}
