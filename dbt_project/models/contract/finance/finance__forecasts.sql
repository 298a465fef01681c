{{ contract_union('finance', 'forecasts') }}
