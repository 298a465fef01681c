with

records as (

    select * from {{ ref('identity__people_records') }}

),

accounts as (

    select * from {{ ref('identity__accounts') }}

),

-- Where the silos disagree the most trusted one counts; where that one names two accounts nobody knows.
placed as (

    select
        email,
        arg_min(struct_pack(account := account), trust).account as account

    from (
        select
            email,
            trust,
            case when min(account) = max(account) then min(account) end as account

        from records
        where email is not null and account is not null
        group by email, trust
    ) as trusted
    group by email

),

-- Where else the same person is known.
employed as (

    select
        person,
        any_value(account) as account

    from records
    where account is not null
    group by person
    having min(account) = max(account)

),

domains as (

    select
        domain,
        any_value(account) as account

    from accounts
    where domain is not null
    group by domain
    having count(*) = 1

),

people as (

    select
        email,
        arg_min(person, (seniority, kind, source, record_id)) as person

    from records
    where email is not null
    group by email

),

known as (

    select
        people.email,
        people.person,
        case when placed.email is not null then placed.account else employed.account end as account,
        placed.email is null and employed.account is null as is_unknown

    from people
    left join placed
        on people.email = placed.email
    left join employed
        on people.person = employed.person

),

at_a_domain as (

    select
        known.email,
        domains.account

    from known
    inner join domains
        on {{ company_domain('known.email') }} = domains.domain
    where known.is_unknown

),

final as (

    select
        known.email,
        known.person,
        coalesce(known.account, at_a_domain.account) as account

    from known
    left join at_a_domain
        on known.email = at_a_domain.email

)

select * from final
