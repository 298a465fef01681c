with

raw_deals as (

    select * from {{ raw_table('pipedrive', 'deals') }}

),

raw_deal_participants as (

    select * from {{ raw_table('pipedrive', 'deal_participants') }}

),

-- A deal's own person may or may not be listed among its participants.
linked as (

    select
        source,
        deal_id,
        person_id,
        is_deleted,
        _loaded_at

    from raw_deal_participants
    union all
    select
        source,
        id as deal_id,
        person_id,
        false as is_deleted,
        _loaded_at

    from raw_deals
    where person_id is not null

),

links as (

    select
        source,
        deal_id,
        person_id,
        bool_and(is_deleted) as is_deleted,
        max(_loaded_at) as _loaded_at

    from linked
    group by all

),

final as (

    select
        links.source,
        links.deal_id as opportunity_id,
        links.person_id as contact_id,
        case when links.person_id = raw_deals.person_id then 'primary' end as role,
        coalesce(links.person_id = raw_deals.person_id, false) as is_primary,
        links.is_deleted,
        links._loaded_at as loaded_at

    from links
    inner join raw_deals
        on links.source = raw_deals.source and links.deal_id = raw_deals.id

)

select * from final
