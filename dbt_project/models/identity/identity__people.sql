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
        case when count(distinct account) = 1 then any_value(account) end as account

    from records
    where email is not null and account is not null
    group by email, trust
    qualify trust = min(trust) over (partition by email)

),

-- Where else the same person is known.
employed as (

    select
        person,
        any_value(account) as account

    from records
    where account is not null
    group by person
    having count(distinct account) = 1

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
        arg_min(person, seniority) as person

    from records
    where email is not null
    group by email

),

final as (

    select
        people.email,
        people.person,
        case
            when placed.email is not null then placed.account
            else coalesce(employed.account, domains.account)
        end as account

    from people
    left join placed
        on people.email = placed.email
    left join employed
        on people.person = employed.person
    left join domains
        on {{ company_domain('people.email') }} = domains.domain

)

select * from final
