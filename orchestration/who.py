"""Who a company, a person or an id is, as the warehouse resolved it, and why.

Reads the warehouse of this machine, addresses of people included; the published marts have none.
"""

from __future__ import annotations

from typing import Any

import duckdb

from orchestration.reading import Row, open_warehouse, rows_of
from settings.errors import UserError
from settings.paths import Home

#: Names that are as near as this are suggested.
NEAR = 0.8
MOST = 8

#: Whatever somebody may ask with, and the account it leads to, or the person of no account.
_HANDLES = """
create temp view handles as
with crm_links as (
    select source, account_id, account from identity.crm_accounts
),

billing_links as (
    select source, customer_id, account from identity.billing_customers
),

sightings as (
    select 'contact' as what, contact_id as id, contacts.source, lower(trim(email)) as email, account
    from crm.contacts as contacts
    left join crm_links using (source, account_id)
    union all
    select 'lead', lead_id, leads.source, lower(trim(email)), account
    from crm.leads as leads
    left join crm_links
        on leads.source = crm_links.source and leads.converted_account_id = crm_links.account_id
    union all
    select 'recipient', recipient_id, source, lower(trim(email)), null from email.recipients
    union all
    select 'e-mail lead', lead_id, source, lower(trim(email)), null from email.leads
    union all
    select 'e-mail event', event_id, source, lower(trim(email)), null from email.events
    union all
    select 'customer', customer_id, source, lower(trim(email)), account
    from billing.customers
    inner join billing_links using (source, customer_id)
),

people as (
    select
        sightings.* replace (coalesce(sightings.account, people.account) as account),
        coalesce(people.person, what || ':' || source || ':' || id) as person
    from sightings
    left join identity.people as people on sightings.email = people.email
),

ids as (
    select what, source, id, account, person from people
    union all
    select 'crm', source, account_id, account, null from crm_links
    union all
    select 'billing', source, customer_id, account, null from billing_links
    union all
    select 'opportunity', source, opportunity_id, account, null from core.opportunities
    union all
    select 'activity', source, activity_id, account, null
    from crm.activities
    inner join crm_links using (source, account_id)
    union all
    select 'subscription', source, subscription_id, account, null
    from billing.subscriptions
    inner join billing_links using (source, customer_id)
    union all
    select 'invoice', source, invoice_id, account, null
    from billing.invoices
    inner join billing_links using (source, customer_id)
    union all
    select 'payment', source, payment_id, account, null
    from billing.payments
    inner join billing_links using (source, customer_id)
),

named as (
    select account, unnest([
        struct_pack(what := 'account', handle := account),
        struct_pack(what := 'name', handle := name),
        struct_pack(what := 'domain', handle := domain)
    ], recursive := true)
    from identity.accounts
    union all
    select account, unnest([
        struct_pack(what := 'name', handle := name),
        struct_pack(what := 'domain', handle := domain),
        struct_pack(what := 'tax id', handle := tax_id)
    ], recursive := true)
    from crm.accounts
    inner join crm_links using (source, account_id)
    union all
    select account, unnest([
        struct_pack(what := 'name', handle := name),
        struct_pack(what := 'tax id', handle := tax_id)
    ], recursive := true)
    from billing.customers
    inner join billing_links using (source, customer_id)
)

select what, lower(trim(handle)) as handle, account, null as person from named where handle is not null
union all
select what || ' address', email, account, person from people
where email is not null and what <> 'e-mail event'
union all
select what || ' id', lower(id), account, person from ids
union all
select what || ' id', lower(what || ':' || source || ':' || id), account, person from ids"""

_FUNNEL = """
select
    journey_id,
    step{more},
    min(occurred_at) as occurred_at,
    arg_min(silo, (occurred_at, record_id)) as silo,
    arg_min(source, (occurred_at, record_id)) as source,
    arg_min(record_id, (occurred_at, record_id)) as record_id,
    bool_and(is_imputed) as is_imputed,
    count(*) as times,
    max(occurred_at) as last_at
from core.funnel_events
where {whose}
group by journey_id, step{more}
order by occurred_at, step{more}"""


def who(home: Home, query: str) -> Row:
    """What the warehouse knows of a company's domain or name, an address, or an id of any silo.

    `status` is found (with one account, or a person of none), ambiguous (with `matches`) or unknown (with
    `suggestions`). Raises `UserError` where there is no warehouse yet, and during a run.
    """
    with open_warehouse(home) as connection:
        if not connection.execute(
            "select count(*) = 3 from duckdb_tables() where (schema_name, table_name) in"
            " (('identity', 'accounts'), ('identity', 'people'), ('core', 'funnel_events'))"
        ).fetchall()[0][0]:
            raise UserError(f"nobody is resolved in {home.warehouse} yet. Run `revops run` first")
        connection.execute(_HANDLES)
        asked = query.strip().lower().removeprefix("https://").removeprefix("http://").removeprefix("www.")
        asked = asked.rstrip("/")
        # A company that only the e-mail tool knows has no domain but its people's.
        matches = _matches(connection, "handle = $asked", asked) or _matches(
            connection, "what like '% address' and ends_with(handle, '@' || $asked)", asked
        )
        if not matches:
            return {"query": query, "status": "unknown", "suggestions": _near(connection, asked)}
        if len(matches) > 1:
            return {"query": query, "status": "ambiguous", "matches": matches}
        [found] = matches
        if found["account"] is None:
            return {"query": query, "status": "found", **_person(connection, found)}
        return {"query": query, "status": "found", **_account(connection, found)}


def _matches(connection: duckdb.DuckDBPyConnection, fits: str, asked: str) -> list[Row]:
    """The accounts that handles lead to; the people of none only where there is no account."""
    found = rows_of(
        connection,
        f"""
        select
            handles.account,
            case when handles.account is null then handles.person end as person,
            any_value(accounts.name) as name,
            any_value(accounts.domain) as domain,
            list_sort(list(distinct handles.what)) as matched
        from handles
        left join identity.accounts as accounts on handles.account = accounts.account
        where {fits}
        group by 1, 2
        order by 1, 2
        """,  # noqa: S608
        {"asked": asked},
    )
    return [match for match in found if match["account"]] or found


def _account(connection: duckdb.DuckDBPyConnection, found: Row) -> Row:
    account = found["account"]
    [described] = rows_of(
        connection, "select * from identity.accounts where account = $account", {"account": account}
    )
    return {
        **described,
        "matched": found["matched"],
        "records": _records(connection, account),
        "people": _people(connection, "people.account = $key", account),
        "funnel": _funnel(connection, "account = $key", account),
        "for_review": _candidates(connection, "account", account),
    }


def _person(connection: duckdb.DuckDBPyConnection, found: Row) -> Row:
    person = found["person"]
    return {
        **{"account": None, "name": None, "domain": None, "matched": found["matched"], "records": []},
        "people": _people(connection, "people.person = $key", person),
        "funnel": _funnel(connection, "person = $key", person),
        "for_review": _candidates(connection, "person", person),
    }


def _people(connection: duckdb.DuckDBPyConnection, whose: str, key: str) -> list[Row]:
    """People with their addresses, and as what the silos know them."""
    return rows_of(
        connection,
        f"""
        select
            people.person,
            list_sort(list(distinct people.email)) as emails,
            list_sort(list(distinct replace(known.what, ' address', ''))) as known_as
        from identity.people as people
        left join handles as known on people.email = known.handle
        where {whose}
        group by people.person
        order by people.person
        """,  # noqa: S608
        {"key": key},
    )


def _records(connection: duckdb.DuckDBPyConnection, account: str) -> list[Row]:
    """CRM accounts and billing customers of an account, with why each is one."""
    score = "records.score" if _has(connection, "identity", "records", "score") else "null"
    return rows_of(
        connection,
        f"""
        select
            records.silo,
            records.source,
            records.record_id,
            coalesce(crm.name, billing.name) as name,
            records.method,
            {score} as score,
            records.evidence,
            records.created_at,
            coalesce(crm.is_deleted, billing.is_deleted, false) as is_deleted
        from identity.records as records
        left join crm.accounts as crm
            on records.silo = 'crm' and records.source = crm.source and records.record_id = crm.account_id
        left join billing.customers as billing
            on
                records.silo = 'billing'
                and records.source = billing.source
                and records.record_id = billing.customer_id
        where records.account = $account
        order by records.silo = 'billing', records.created_at, records.record_id
        """,  # noqa: S608
        {"account": account},
    )


def _funnel(connection: duckdb.DuckDBPyConnection, whose: str, key: str) -> list[Row]:
    """The first witness of each step of each journey, and how often it happened."""
    more = ", stage" if _has(connection, "core", "funnel_events", "stage") else ""
    return rows_of(connection, _FUNNEL.format(whose=whose, more=more), {"key": key})


def _candidates(connection: duckdb.DuckDBPyConnection, kind: str, known_as: str) -> list[Row]:
    """Links that identity was not sure enough of, for somebody to decide."""
    if not _has(connection, "identity", "candidates", "left_known_as"):
        return []
    return rows_of(
        connection,
        "select * exclude (kind) from identity.candidates"
        " where kind = $kind and $known_as in (left_known_as, right_known_as)"
        " order by score desc nulls last, left_record, right_record",
        {"kind": kind, "known_as": known_as},
    )


def _near(connection: duckdb.DuckDBPyConnection, asked: str) -> list[Row]:
    return rows_of(
        connection,
        """
        select
            handle,
            any_value(what) as what,
            any_value(account) as account,
            max(jaro_winkler_similarity(handle, $asked)) as likeness
        from handles
        where what not like '%id' and contains(handle, '@') = contains($asked, '@')
        group by handle
        having likeness >= $near
        order by likeness desc, handle
        limit $most
        """,
        {"asked": asked, "near": NEAR, "most": MOST},
    )


def _has(connection: duckdb.DuckDBPyConnection, schema: str, table: str, column: str) -> bool:
    found: Any = connection.execute(
        "select count(*) from duckdb_columns() where (schema_name, table_name, column_name) = (?, ?, ?)",
        [schema, table, column],
    ).fetchone()
    return bool(found[0])
