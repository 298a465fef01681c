{{ contract_union('crm', 'campaign_members') }}
