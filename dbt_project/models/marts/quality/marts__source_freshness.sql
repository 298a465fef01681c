{#- The column that says when a record came into being; else the one that says when it changed. -#}
{%- set contract = {
    'crm': {
        'owners': 'updated_at', 'accounts': 'created_at', 'contacts': 'created_at', 'leads': 'created_at',
        'opportunities': 'created_at', 'opportunity_contacts': 'updated_at', 'opportunity_history': 'changed_at',
        'stages': 'updated_at', 'activities': 'occurred_at', 'campaigns': 'started_at',
        'campaign_members': 'first_responded_at',
    },
    'email': {
        'campaigns': 'created_at', 'recipients': 'added_at', 'events': 'occurred_at', 'leads': 'created_at',
    },
    'billing': {
        'customers': 'created_at', 'prices': 'updated_at', 'subscriptions': 'created_at', 'subscription_items': 'valid_from',
        'subscription_pauses': 'paused_at', 'discounts': 'starts_at', 'invoices': 'issued_at',
        'invoice_lines': 'updated_at', 'payments': 'attempted_at', 'refunds': 'refunded_at', 'credit_notes': 'issued_at',
    },
    'finance': {
        'spend': 'month', 'quotas': 'period_start', 'forecasts': 'submitted_at', 'fx_rates': 'rate_date',
    },
} -%}
with

-- What revops.toml asks for; the last row keeps the list from being empty.
configured (source, silo, table_name) as (

    values
    {% for configured in var('sources') -%}
    {% for table in configured.tables -%}
    ('{{ configured.name }}', '{{ configured.silo }}', '{{ table }}'),
    {% endfor -%}
    {% endfor -%}
    (cast(null as text), cast(null as text), cast(null as text))

),

records as (
    {%- for silo, tables in contract.items() %}{% set is_last_silo = loop.last %}
    {%- for table, date_column in tables.items() %}

    select
        source,
        '{{ silo }}' as silo,
        '{{ table }}' as table_name,
        count(*) as row_count,
        count(*) filter (where is_deleted) as deleted_rows,
        max(updated_at) filter (where updated_at < {{ as_of() }}) as newest_change_at,
        max({{ date_column }}) filter (where {{ date_column }} < {{ as_of() }}) as newest_date,
        max(loaded_at) as last_loaded_at

    from {{ ref(silo ~ '__' ~ table) }}
    group by all
    {{- '\n    union all' if not (is_last_silo and loop.last) }}
    {%- endfor %}
    {%- endfor %}

),

final as (

    select
        configured.source,
        configured.silo,
        configured.table_name,
        coalesce(records.row_count, 0) as row_count,
        coalesce(records.deleted_rows, 0) as deleted_rows,
        greatest(records.newest_change_at, cast(records.newest_date as timestamptz)) as newest_record_at,
        records.last_loaded_at

    from configured
    left join records
        on
            configured.source = records.source
            and configured.silo = records.silo
            and configured.table_name = records.table_name
    where configured.source is not null

)

select * from final
