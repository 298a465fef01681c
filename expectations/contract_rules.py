"""What the source gates know of the silo contract: references, allowed values, dates of records.

Each list is turned into one temporary view (`gate_*`) that the gates' SQL reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import Template
from typing import Any

#: child table, column, parent table with the same column: an id in the child must exist in the parent.
REFERENCES = (
    ("crm.contacts", "account_id", "crm.accounts"),
    ("crm.opportunities", "account_id", "crm.accounts"),
    ("crm.opportunity_contacts", "opportunity_id", "crm.opportunities"),
    ("crm.opportunity_contacts", "contact_id", "crm.contacts"),
    ("crm.opportunity_history", "opportunity_id", "crm.opportunities"),
    ("crm.campaign_members", "campaign_id", "crm.campaigns"),
    ("email.recipients", "campaign_id", "email.campaigns"),
    ("email.events", "campaign_id", "email.campaigns"),
    ("email.events", "recipient_id", "email.recipients"),
    ("email.leads", "recipient_id", "email.recipients"),
    ("billing.subscriptions", "customer_id", "billing.customers"),
    ("billing.subscription_items", "subscription_id", "billing.subscriptions"),
    ("billing.subscription_items", "price_id", "billing.prices"),
    ("billing.discounts", "subscription_id", "billing.subscriptions"),
    ("billing.invoices", "customer_id", "billing.customers"),
    ("billing.invoices", "subscription_id", "billing.subscriptions"),
    ("billing.invoice_lines", "invoice_id", "billing.invoices"),
    ("billing.payments", "invoice_id", "billing.invoices"),
    ("billing.refunds", "payment_id", "billing.payments"),
    ("billing.credit_notes", "invoice_id", "billing.invoices"),
)

#: table, column, allowed values, whether it may be empty.
ALLOWED_VALUES: tuple[tuple[str, str, tuple[str, ...], bool], ...] = (
    ("crm.opportunities", "outcome", ("open", "won", "lost"), False),
    ("crm.opportunities", "opportunity_type", ("new_business", "expansion", "renewal"), True),
    ("crm.stages", "outcome", ("open", "won", "lost"), True),
    (
        "crm.opportunity_history",
        "field",
        ("stage", "amount", "close_date", "owner_id", "forecast_category"),
        False,
    ),
    ("email.campaigns", "kind", ("outbound", "marketing"), True),
    (
        "email.events",
        "event_type",
        ("sent", "delivered", "open", "click", "reply", "bounce", "unsubscribe", "complaint"),
        False,
    ),
    ("email.events", "bounce_type", ("hard", "soft"), True),
    ("billing.prices", "interval", ("day", "week", "month", "year"), True),
    ("billing.subscription_items", "interval", ("day", "week", "month", "year"), True),
    ("billing.payments", "status", ("succeeded", "failed", "pending"), False),
    ("finance.forecasts", "category", ("commit", "best_case", "pipeline"), False),
)

#: table, column that says when a record came into being in the vendor's system (besides `updated_at`).
RECORD_DATES = (
    ("crm.accounts", "created_at"),
    ("crm.contacts", "created_at"),
    ("crm.opportunities", "created_at"),
    ("crm.opportunity_history", "changed_at"),
    ("crm.activities", "occurred_at"),
    ("email.campaigns", "created_at"),
    ("email.recipients", "added_at"),
    ("email.events", "occurred_at"),
    ("billing.customers", "created_at"),
    ("billing.subscriptions", "created_at"),
    ("billing.invoices", "issued_at"),
    ("billing.payments", "attempted_at"),
    ("finance.spend", "month"),
    ("finance.quotas", "period_start"),
    ("finance.forecasts", "submitted_at"),
    ("finance.fx_rates", "rate_date"),
)

#: table, its key, and two dates of which the first comes first; both, and any alone, are in the past.
DATE_ORDERS = (
    ("crm.accounts", "account_id", "created_at", None),
    ("crm.contacts", "contact_id", "created_at", None),
    ("crm.leads", "lead_id", "created_at", "converted_at"),
    ("crm.opportunities", "opportunity_id", "created_at", "closed_at"),
    ("crm.opportunity_history", "opportunity_id", "changed_at", None),
    ("email.recipients", "recipient_id", "added_at", "unsubscribed_at"),
    ("email.events", "event_id", "occurred_at", None),
    ("billing.customers", "customer_id", "created_at", None),
    ("billing.subscriptions", "subscription_id", "created_at", "ended_at"),
    ("billing.payments", "payment_id", "attempted_at", None),
)

#: table, column: what comes every day, or on the same days of every week.
DAILY = (
    ("crm.activities", "occurred_at"),
    ("crm.contacts", "created_at"),
    ("crm.opportunity_history", "changed_at"),
    ("email.events", "occurred_at"),
    ("billing.invoices", "issued_at"),
    ("billing.payments", "attempted_at"),
)

# A file source that has no parents at all was never asked for them; an API source was.
_REFERENCE = Template("""
select '$silo' as silo, '$child_name' as child, '$parent' as parent, child.source,
    child.$column as missing_id, count(*) as records
from $child as child
where child.$column is not null
    and child.source in (
        select source from gate_sources where not is_files
        union all
        select source from $parent
    )
    and not exists (
        select 1 from $parent as parent where parent.source = child.source and parent.$column = child.$column
    )
group by child.source, child.$column""")

_VALUE = Template("""
select '$silo' as silo, '$table.$column' as field, source, $column as value, '$listed' as allowed,
    count(*) as records
from $table
where $condition
group by source, $column""")

# What is gone from a file was never said; what a tool says is deleted was recorded there.
_DATE = Template("""
select
    records.source,
    greatest(
        max(cast(records.$column as timestamptz)) filter (where records.$column < run.as_of),
        max(records.updated_at) filter (where records.updated_at < run.as_of)
    ) as recorded_at
from $table as records, gate_run as run
where not coalesce(records.is_deleted, false)
    or records.source not in (select source from gate_sources where is_files)
group by records.source""")

_RECORD_DAYS = Template("""
select distinct records.source, cast(records.$column as date) as day
from $table as records, gate_run as run
where records.$column >= run.as_of - interval 400 day and records.$column < run.as_of""")

# Days are compared: they are all that some vendors keep. Instants come first, as a day is slow to tell.
_ORDER = Template("""
select '$silo' as silo, '$table' as table_name, records.$key as record_id, records.source,
    '$earlier' as earlier, records.$earlier as earlier_at, '$later' as later, records.$later as later_at
from $table as records, gate_run as run
where not coalesce(records.is_deleted, false)
    and (
        (
            records.$later < records.$earlier
            and cast(records.$later as date) < cast(records.$earlier as date)
        )
        or (
            greatest(records.$earlier, records.$later) > run.as_of
            and greatest(records.$earlier, records.$later)
            > greatest(run.as_of, records.loaded_at) + interval 1 day
        )
    )""")

_DAILY = Template("""
select '$silo' as silo, '$table' as table_name, records.source, cast(records.$column as date) as day,
    count(*) as records
from $table as records, gate_run as run
where records.$column >= run.as_of - interval 440 day and records.$column < run.as_of
group by all""")

_UNPARSED = Template("""
select '$silo' as silo, '$source' as source, table_name, column_name, row_key
from "raw_$source"._unparsed where not is_deleted""")

_NO_UNPARSED = """
select null::text as silo, null::text as source, null::text as table_name, null::text as column_name,
    null::text as row_key
where false"""


_COUNT = Template("""
select '$silo' as silo, '$source' as source, '$table' as table_name, $theirs as source_rows,
    (
        select count(*) from "raw_$source"."$table"
        where not coalesce(is_deleted, false) and "$column" < cast('$before' as timestamptz)
    ) as our_rows""")

_NO_COUNT = """
select null::text as silo, null::text as source, null::text as table_name, null::bigint as source_rows,
    null::bigint as our_rows
where false"""


def counted(counts: Iterable[Mapping[str, Any]]) -> str:
    """Rows by table as the sources count them and as the warehouse has them.

    In: rows of the sources' `_counts` tables, with the `source` and its `silo`.
    """
    parts = [
        _COUNT.substitute(
            silo=row["silo"],
            source=row["source"],
            table=row["table_name"],
            theirs=row["row_count"],
            column=row["created_column"],
            before=row["created_before"].isoformat(),
        )
        for row in counts
    ]
    return "\nunion all".join([_NO_COUNT, *parts])


def missing_parents() -> str:
    """Ids that a contract table refers to and that are absent from the table they belong in."""
    return "\nunion all".join(
        _REFERENCE.substitute(
            silo=child.split(".")[0],
            child=child,
            child_name=f"{child}.{column}",
            column=column,
            parent=parent,
        )
        for child, column, parent in REFERENCES
    )


def strange_values() -> str:
    """Values outside the contract's lists, with the rows that hold them."""
    return "\nunion all".join(
        _VALUE.substitute(
            silo=table.split(".")[0],
            table=table,
            column=column,
            listed=", ".join(values),
            condition=_outside(column, values, optional),
        )
        for table, column, values, optional in ALLOWED_VALUES
    )


def _outside(column: str, values: tuple[str, ...], optional: bool) -> str:
    listed = ", ".join(f"'{value}'" for value in values)
    return f"{column} not in ({listed})" + ("" if optional else f" or {column} is null")


def impossible_dates() -> str:
    """Records whose dates contradict each other or lie in the future."""
    return "\nunion all".join(
        _ORDER.substitute(
            silo=table.split(".")[0], table=table, key=key, earlier=earlier, later=later or earlier
        )
        for table, key, earlier, later in DATE_ORDERS
    )


def daily_rows() -> str:
    """Rows by source, table and day: of the last weeks, and of the same weeks a year before."""
    return "\nunion all".join(
        _DAILY.substitute(silo=table.split(".")[0], table=table, column=column) for table, column in DAILY
    )


def records() -> str:
    """When each source last recorded or changed something, by table; the future does not count."""
    return "\nunion all".join(_DATE.substitute(table=table, column=column) for table, column in RECORD_DATES)


def record_days() -> str:
    """Days of the last thirteen months on which a source recorded something."""
    return "\nunion".join(
        _RECORD_DAYS.substitute(table=table, column=column) for table, column in RECORD_DATES
    )


def unparsed(sources: Iterable[tuple[str, str]]) -> str:
    """What the mappings of `sources` (name, silo) could not convert."""
    parts = [_UNPARSED.substitute(source=source, silo=silo) for source, silo in sources]
    return "\nunion all".join([_NO_UNPARSED, *parts])
