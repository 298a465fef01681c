with

opportunities as (

    select * from {{ ref('core__opportunities') }}

),

final as (

    select
        source,
        opportunity_id,
        {%- for segment, column in kpi_subjects()['sales'].segments.items() %}
        coalesce({{ column }}, '(none)') as {{ segment if segment != 'source' else column }},
        {%- endfor %}
        {%- for name, measure in sale_measures().items() %}
        {{ measure }} as {{ name }},
        {%- endfor %}
        account,
        closed_on,
        cast(date_trunc('month', closed_on) as date) as month

    from opportunities
    where outcome in ('won', 'lost') and closed_at < {{ as_of() }}

)

select * from final
