{#- CTEs `edges` and `components` (record, label) over relations with columns record, match_key and record: records
    that share a key are one, and so are those that others tie together. The label is the smallest record. Goes into
    a `with recursive`. -#}
{% macro connected(records, links) -%}
    hubs as (

        select
            record,
            min(record) over (partition by match_key) as hub

        from {{ links }}
        semi join {{ records }} using (record)

    ),

    -- Not once more for every step that labels take.
    edges as materialized (

        select record, hub as neighbour from hubs
        where record <> hub
        union
        select hub, record from hubs
        where record <> hub

    ),

    -- Links reach on over links: the smallest label spreads until nothing changes.
    components (record, label) using key (record) as (

        select
            records.record,
            coalesce(min(hubs.hub), records.record) as label

        from {{ records }} as records
        left join hubs
            on records.record = hubs.record
        group by records.record
        union
        (
            select
                edges.record,
                min(components.label) as label

            from components
            inner join edges
                on components.record = edges.neighbour
            inner join recurring.components as known
                on edges.record = known.record
            group by edges.record
            having min(components.label) < any_value(known.label)
        )

    )
{%- endmacro %}

{#- The pairs of a table of scores whose two records are still as they were compared, each once. -#}
{% macro scored_pairs(scores) -%}
    select distinct
        least(listed.record, listed.pair.other) as left_record,
        greatest(listed.record, listed.pair.other) as right_record,
        listed.pair.score as score,
        listed.pair.is_linked as is_linked,
        listed.pair.evidence as evidence

    from (select record, unnest(pairs) as pair from {{ scores }}) as listed
    inner join {{ scores }} as others
        on listed.pair.other = others.record and listed.pair.other_fingerprint = others.fingerprint
{%- endmacro %}

{#- Every record's account or person: CTEs of a model that keeps them (record, known_as, run, since) for ever, one row
    each time that a record comes to another. Of a group the id stays that was given first; a part that splits off
    gets one only if the record the id is named after went with it. A new group is named after its senior record.
    `records`: (record, seniority); `groups`: components of linked records before cuts (record, label); `links`, `cuts`. -#}
{% macro kept_ids(records, groups, links, cuts) -%}
    -- Only groups with a cut in them are put together anew.
    opened as (

        select record from {{ groups }}
        semi join (
            select label from {{ groups }}
            semi join {{ cuts }} using (record)
        ) as cut using (label)

    ),

    standing as (

        {{ standing_links(links, cuts) }}

    ),

    {{ connected('opened', 'standing') }},

    grouped as (

        select
            records.record,
            records.seniority,
            coalesce('part of ' || components.label, whole.label, records.record) as label

        from {{ records }} as records
        left join {{ groups }} as whole
            on records.record = whole.record
        left join components
            on records.record = components.record

    ),

    history as (

        {% if is_incremental() -%}
        select
            record,
            run,
            known_as

        from {{ this }}
        {%- else -%}
        select
            cast(null as varchar) as record,
            0 as run,
            cast(null as varchar) as known_as

        where false
        {%- endif %}

    ),

    known as (

        select
            record,
            arg_max(known_as, run) as known_as

        from history
        group by record

    ),

    ids as (

        select
            known_as as id,
            min(run) as first_run

        from history
        group by known_as

    ),

    claims as (

        select
            grouped.label,
            ids.id

        from grouped
        inner join ids
            on grouped.record = ids.id

        union all

        -- The record that an id is named after is gone: most of the others keep it.
        select
            arg_min(label, (-present_records, -records, senior)),
            id

        from (
            select
                grouped.label,
                history.known_as as id,
                count(distinct grouped.record) as records,
                count(distinct grouped.record) filter (where known.known_as = history.known_as) as present_records,
                min((grouped.seniority, grouped.record)) as senior

            from history
            anti join grouped as naming
                on history.known_as = naming.record
            inner join grouped
                on history.record = grouped.record
            inner join known
                on history.record = known.record
            group by all
        ) as left_behind
        group by id

    ),

    kept as (

        select
            claims.label,
            arg_min(claims.id, (ids.first_run, coalesce(naming.seniority, 9223372036854775807), claims.id))
                as known_as

        from claims
        inner join ids
            on claims.id = ids.id
        left join grouped as naming
            on claims.id = naming.record
        group by claims.label

    ),

    fresh as (

        select
            label,
            arg_min(record, (seniority, record)) as known_as

        from grouped
        group by label

    ),

    present as (

        select
            grouped.record,
            coalesce(kept.known_as, fresh.known_as) as known_as

        from grouped
        inner join fresh
            on grouped.label = fresh.label
        left join kept
            on grouped.label = kept.label

    )
{%- endmacro %}

{#- The firmest link of each record to others: reason.method, .evidence and .score. -#}
{% macro firmest_links(links, cuts) -%}
    select
        record,
        arg_min(
            struct_pack(method := method, evidence := evidence, score := score),
            (
                list_position([
                    'override', 'merged', 'conversion', 'crm_account_id', 'billing_customer_id', 'tax_id', 'email',
                    'domain', 'name', 'likeness'
                ], method),
                -score,
                evidence
            )
        ) as reason

    from ({{ standing_links(links, cuts) }})
    group by record
{%- endmacro %}

{#- The links that are left when groups have been cut: a key falls into the parts that its records belong to. -#}
{% macro standing_links(links, cuts) -%}
    select
        links.record,
        links.match_key || coalesce('/' || cuts.part, '') as match_key,
        links.method,
        links.evidence,
        links.score

    from {{ links }} as links
    left join {{ cuts }} as cuts
        on links.record = cuts.record and links.match_key = cuts.match_key
    qualify
        min(links.record) over (partition by links.match_key, cuts.part)
        <> max(links.record) over (partition by links.match_key, cuts.part)
{%- endmacro %}

{#- Each record with those that an override keeps apart from it. -#}
{% macro kept_apart(overrides) -%}
    select
        record,
        list_sort(list(distinct other)) as others

    from (
        select
            left_record as record,
            right_record as other

        from {{ overrides }}
        where action = 'apart'
        union all
        select
            right_record,
            left_record

        from {{ overrides }}
        where action = 'apart'
    ) as decided
    group by record
{%- endmacro %}

{#- Each of some records with the keys it shares. -#}
{% macro listed_links(links, records) -%}
    select
        record,
        list(struct_pack(match_key := match_key, method := method, score := score) order by match_key, method) as links

    from {{ links }}
    semi join {{ records }} using (record)
    group by record
{%- endmacro %}
