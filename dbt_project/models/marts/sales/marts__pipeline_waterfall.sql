{%- set columns = [
    'opening', 'new', 'pulled_in', 'reopened', 'amount_up', 'amount_down', 'pushed_out', 'won', 'lost', 'fx',
    'transferred'
] -%}
with

movements as (

    select * from {{ ref('core__pipeline_movements') }}

),

calendar as (

    select * from {{ ref('core__calendar') }}
    where period in ('month', 'quarter')

),

segmented as (

    select
        *,
        {{ kpi_segments('due_pipeline') | indent(8) }}

    from movements

),

summed as (

    select
        period,
        period_start,
        segment,
        segment_value,
        {%- for column in columns %}
        cast(sum("{{ column }}") as decimal(18, 2)) as "{{ column }}",
        {%- endfor %}
        cast(sum(closing) as decimal(18, 2)) as closing

    from segmented
    group by all

),

-- A period without pipeline has its row, too.
final as (

    select
        calendar.period,
        calendar.period_start,
        coalesce(summed.segment, 'all') as segment,
        coalesce(summed.segment_value, 'all') as segment_value,
        {%- for column in columns %}
        coalesce(summed."{{ column }}", 0) as "{{ column }}",
        {%- endfor %}
        coalesce(summed.closing, 0) as closing

    from calendar
    left join summed
        on calendar.period = summed.period and calendar.period_start = summed.period_start

)

select * from final
