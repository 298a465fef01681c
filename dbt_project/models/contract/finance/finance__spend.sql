{{ contract_union('finance', 'spend') }}
