-- The file is checked before the run; without one there is nothing.
with

final as (

    {%- if var('identity_overrides', none) %}

    select
        trim(action) as action,
        trim("left") as left_record,
        trim("right") as right_record,
        trim(who) as who,
        trim(why) as why

    from read_csv('{{ var("identity_overrides") | replace("'", "''") }}', header = true, all_varchar = true)

    {%- else %}

    select
        cast(null as varchar) as action,
        cast(null as varchar) as left_record,
        cast(null as varchar) as right_record,
        cast(null as varchar) as who,
        cast(null as varchar) as why

    where false

    {%- endif %}

)

select * from final
