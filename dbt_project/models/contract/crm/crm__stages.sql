{{ contract_union('crm', 'stages') }}
