with

raw_campaigns as (

    select * from {{ raw_table('mailshake', 'campaigns') }}

),

raw_team as (

    select * from {{ raw_table('mailshake', 'team') }}

),

final as (

    select
        raw_campaigns.source,
        raw_campaigns.id as campaign_id,
        raw_campaigns.title as name,
        'outbound' as kind,
        raw_campaigns.sender_email,
        raw_team.email as owner_email,
        coalesce(json_array_length(raw_campaigns.messages), 0) as messages,
        coalesce(raw_campaigns.is_deleted, false) as is_deleted,
        raw_campaigns.created as created_at,
        -- Newer answers only say that it is archived: then since when we know.
        coalesce(
            raw_campaigns.archived, case when raw_campaigns.is_archived then raw_campaigns._loaded_at end
        ) as archived_at,
        raw_campaigns._loaded_at as loaded_at

    from raw_campaigns
    left join raw_team
        on
            lower(raw_campaigns.sender_email) = lower(raw_team.email)
            and raw_campaigns.source = raw_team.source
    qualify row_number() over (
        partition by raw_campaigns.source, raw_campaigns.id
        order by coalesce(raw_team.is_deleted, true), raw_team.id
    ) = 1

)

select * from final
