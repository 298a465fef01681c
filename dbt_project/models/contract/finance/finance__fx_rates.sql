{{ contract_union('finance', 'fx_rates') }}
