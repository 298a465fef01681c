with

calendar as (

    select * from {{ ref('core__calendar') }}

),

records as (

    select * from {{ ref('core__kpi_pipeline_records') }}

),

segmented as (

    select
        *,
        {{ kpi_segments('due_pipeline') | indent(8) }}

    from records

    union all by name

    -- A period without pipeline has its row, too.
    select
        period,
        period_start,
        'all' as segment,
        'all' as segment_value

    from calendar

),

final as (

    select
        period,
        period_start,
        segment,
        segment_value,
        {%- for count in ['open_count', 'open_valued', 'due', 'due_with_amount', 'slipped'] %}
        cast(coalesce(sum({{ count }}), 0) as bigint) as {{ count }},
        {%- endfor %}
        {%- for money in ['weighted', 'due_value', 'slipped_value'] %}
        cast(coalesce(sum({{ money }}), 0) as decimal(38, 2)) as {{ money }},
        {%- endfor %}
        cast(coalesce(sum(quota), 0) as decimal(38, 2)) as quota

    from segmented
    group by all

)

select * from final
