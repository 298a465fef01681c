{#- The contract tables each vendor's staging provides, as models `stg_<vendor>__<table>`. -#}
{% macro vendor_tables() -%}
    {%- do return({
        'hubspot': [
            'owners', 'accounts', 'contacts', 'leads', 'opportunities', 'opportunity_contacts',
            'opportunity_history', 'stages', 'activities',
        ],
        'mailshake': ['campaigns', 'recipients', 'events', 'leads'],
        'stripe': [
            'customers', 'prices', 'subscriptions', 'subscription_items', 'subscription_pauses', 'discounts',
            'invoices', 'invoice_lines', 'payments', 'refunds', 'credit_notes',
        ],
    }) -%}
{%- endmacro %}
