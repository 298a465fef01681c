{{ contract_union('email', 'campaigns') }}
