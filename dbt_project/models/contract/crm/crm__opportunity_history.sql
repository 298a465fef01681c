{{ contract_union('crm', 'opportunity_history') }}
