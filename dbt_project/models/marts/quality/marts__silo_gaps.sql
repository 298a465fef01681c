with

register as (

    select * from {{ source('gaps', 'register') }}

),

-- What a run finds at midnight is of the day before, as everything else that it shows.
dated as (

    select
        * exclude (gap_key),
        row_number() over (partition by gap_key order by first_seen_at, gap_id) - 1 as reopened,
        {{ local_date("first_seen_at - interval 1 microsecond") }} as first_seen_on,
        {{ local_date("least(resolved_at, " ~ as_of() ~ ") - interval 1 microsecond") }} as last_open_on

    from register

),

final as (

    select
        * exclude (reopened, first_seen_on, last_open_on),
        reopened,
        greatest(last_open_on - first_seen_on, 0) as age_days

    from dated

)

select * from final
