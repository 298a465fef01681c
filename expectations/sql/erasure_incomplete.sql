-- People who were erased and whom some layer of the warehouse names again. What a silo says comes back in the layers
-- above it, too, and goes with it: these are told of where no silo names the person.
with named as (
    select *, silo in ('crm', 'email', 'billing', 'finance') as is_of_silo
    from gate_erased
)

select
    case when is_of_silo then silo else 'warehouse' end as silo_left,
    left(person, 16) as key_left,
    'named in ' || string_agg(table_name || ' (' || records || ')', ', ' order by table_name) as value_left,
    case when is_of_silo then silo else 'warehouse' end as silo_right,
    'erased' as value_right
from named
group by person, 1, is_of_silo
qualify is_of_silo or not bool_or(is_of_silo) over (partition by person)
