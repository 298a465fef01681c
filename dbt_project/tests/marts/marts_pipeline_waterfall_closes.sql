-- Opening plus movements is closing, and teams and owners add up to the company.
{%- set movements = [
    'new', 'pulled_in', 'reopened', 'amount_up', 'amount_down', 'pushed_out', 'won', 'lost', 'fx', 'transferred'
] %}
with

waterfall as (

    select * from {{ ref('marts__pipeline_waterfall') }}

),

by_segment as (

    select
        period,
        period_start,
        segment,
        {%- for column in ['opening'] + movements %}
        sum("{{ column }}") as "{{ column }}",
        {%- endfor %}
        sum(closing) as closing

    from waterfall
    group by all

)

select
    period,
    period_start,
    segment,
    segment_value
from waterfall
where
    closing <> opening
    {%- for movement in movements %}
    + "{{ movement }}"
    {%- endfor %}

union all

select
    period,
    period_start,
    by_segment.segment,
    '(sum)'
from by_segment
inner join waterfall as whole using (period, period_start)
where
    whole.segment = 'all'
    and (
        whole.transferred <> 0
        {%- for column in ['opening'] + movements + ['closing'] %}
        or by_segment."{{ column }}" <> whole."{{ column }}"
        {%- endfor %}
    )
