{{ contract_union('crm', 'contacts') }}
