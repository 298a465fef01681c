{{ contract_union('crm', 'campaigns') }}
