{{ contract_union('finance', 'quotas') }}
