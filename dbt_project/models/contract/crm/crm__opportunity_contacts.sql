{{ contract_union('crm', 'opportunity_contacts') }}
