with

months as (

    select * from {{ ref('core__kpi_months') }}

),

movements as (

    select * from {{ ref('core__mrr_monthly') }}

),

account_mrr as (

    select * from {{ ref('core__account_mrr') }}

),

closing_rates as (

    select * from {{ ref('core__closing_rates') }}

),

segments as (

    select * from {{ ref('core__account_segments') }}

),

spans as (

    select * from {{ ref('core__subscription_spans') }}

),

brief_stays as (

    {{ brief_stays() | indent(4) }}

),

retained as (

    {{ retained_mrr() | indent(4) }}

),

final as (

    select
        coalesce(movements.month, retained.month, brief_stays.month) as month,
        coalesce(movements.account, retained.account, brief_stays.account) as account,
        {%- for name, measure in revenue_measures().items() %}
        {{ measure.amount or 'cast(' ~ measure.holds ~ ' as integer)' }} as {{ name }},
        {%- endfor %}
        cast(brief_stays.account is not null as integer) as brief_stays,
        retained.mrr_year_ago,
        retained.retained_net,
        retained.retained_gross,
        -- What of an account never changes: the rest is another thing at the end of a longer period.
        coalesce(segments.country, '(none)') as country,
        coalesce(segments.size, '(none)') as size,
        coalesce(segments.lead_source, '(none)') as lead_source

    from movements
    full join retained
        on movements.month = retained.month and movements.account = retained.account
    full join brief_stays
        on
            coalesce(movements.month, retained.month) = brief_stays.month
            and coalesce(movements.account, retained.account) = brief_stays.account
    left join segments
        on
            coalesce(movements.month, retained.month, brief_stays.month) = segments.month
            and coalesce(movements.account, retained.account, brief_stays.account) = segments.account

)

select * from final
