{{ contract_union('billing', 'invoices') }}
