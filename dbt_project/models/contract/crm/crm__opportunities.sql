{{ contract_union('crm', 'opportunities') }}
