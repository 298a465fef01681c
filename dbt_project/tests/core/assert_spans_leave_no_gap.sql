-- A subscription's stretches follow on each other and only the last is open: an instant falls into one.
with

spans as (

    select
        source,
        subscription_id,
        from_at,
        until_at,
        lead(from_at) over (
            partition by source, subscription_id
            order by from_at
        ) as next_from_at

    from {{ ref('core__subscription_spans') }}

)

select
    source,
    subscription_id,
    from_at,
    until_at
from spans
where until_at is distinct from next_from_at or until_at <= from_at
