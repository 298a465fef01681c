"""How much of each silo meets what it must meet, run by run: what no rule about a single record can see.

A connector that returns a part of its records, or an id whose type changed, leaves every remaining value
valid. So each run counts, for all records and for those of the last seven days, how many meet each of these
expectations, and keeps the counts in `gaps.coverage`. `gate_coverage_drops` has those whose share is far
below what earlier runs saw of them, or below what the seam states. Earlier runs rather than earlier records
are the norm, as what is recent is often incomplete for good reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from expectations.duckdb_engine import Session


@dataclass(frozen=True)
class Seam:
    """Records of one place that must meet a record of another."""

    name: str
    silo_left: str
    silo_right: str
    #: Query of source, recorded_at and is_met.
    records: str
    #: The least share of all records that must be met, whatever earlier runs saw; None: their norm alone.
    at_least: float | None = None


#: Records of a table that name a record of another table, met where that is there.
_OF_ID = Template("""
select naming.source, naming.created_at as recorded_at, named.$key is not null as is_met
from $table as naming
left join (select distinct $key from $other) as named on naming.$column = named.$key
where naming.$column is not null and not coalesce(naming.is_deleted, false)""")


def _of_id(table: str, column: str, other: str, key: str) -> str:
    return _OF_ID.substitute(table=table, column=column, other=other, key=key)


#: A new seam is one entry here.
SEAMS = (
    Seam(
        "accounts' customers known to billing",
        *("crm", "billing"),
        _of_id("crm.accounts", "billing_customer_id", "billing.customers", "customer_id"),
        at_least=0.5,
    ),
    Seam(
        "customers' accounts known to the CRM",
        *("billing", "crm"),
        _of_id("billing.customers", "crm_account_id", "crm.accounts", "account_id"),
        at_least=0.5,
    ),
    Seam(
        "opportunities' subscriptions known to billing",
        *("crm", "billing"),
        _of_id(
            "crm.opportunities",
            "billing_subscription_id",
            "billing.subscriptions",
            "subscription_id",
        ),
        at_least=0.5,
    ),
    Seam(
        "paying customers with a CRM account",
        *("billing", "crm"),
        """
select paying.source, min(paying.started_at) as recorded_at, bool_or(known.account is not null) as is_met
from (
    select source, customer_id, min(from_at) as started_at from gate_spans where net_mrr > 0 group by all
) as paying
left join gate_billing_accounts as customers
    on paying.source = customers.source and paying.customer_id = customers.customer_id
left join gate_crm_accounts as known on customers.account = known.account
group by paying.source, paying.customer_id""",
    ),
    Seam(
        "won opportunities of billed accounts",
        *("crm", "billing"),
        """
select source, closed_at as recorded_at, account in (select account from gate_billing_accounts) as is_met
from gate_opportunities
where outcome = 'won' and is_new_business and account is not null""",
    ),
    Seam(
        "people who replied and are in the CRM",
        *("email", "crm"),
        """
select events.source, min(events.occurred_at) as recorded_at, bool_or(known.email is not null) as is_met
from email.events as events
left join (
    select lower(email) as email from crm.contacts union select lower(email) from crm.leads
) as known on lower(events.email) = known.email
where events.event_type = 'reply' and not coalesce(events.is_machine, false)
group by events.source, events.recipient_id""",
    ),
    Seam(
        "activities with somebody or something they are about",
        *("crm", "crm"),
        """
select
    activities.source, activities.occurred_at as recorded_at,
    coalesce(contacts.contact_id, leads.lead_id, accounts.account_id, opportunities.opportunity_id)
        is not null as is_met
from crm.activities as activities
left join crm.contacts as contacts using (source, contact_id)
left join crm.leads as leads using (source, lead_id)
left join crm.accounts as accounts on activities.source = accounts.source
    and activities.account_id = accounts.account_id
left join crm.opportunities as opportunities on activities.source = opportunities.source
    and activities.opportunity_id = opportunities.opportunity_id""",
    ),
    Seam(
        "opportunities with a history",
        *("crm", "crm"),
        """
select source, created_at as recorded_at, opportunity_id in (
    select opportunity_id from crm.opportunity_history as history where history.source = opportunities.source
) as is_met
from crm.opportunities as opportunities""",
    ),
    Seam(
        "recipients who were written to",
        *("email", "email"),
        """
select recipients.source, recipients.added_at as recorded_at, events.recipient_id is not null as is_met
from email.recipients as recipients
left join (select distinct source, recipient_id from email.events) as events
    on recipients.source = events.source and recipients.recipient_id = events.recipient_id""",
    ),
    Seam(
        "invoices whose lines add up to them",
        *("billing", "billing"),
        """
select
    invoices.source, invoices.issued_at as recorded_at,
    abs(invoices.subtotal - lines.amount) < 0.01 as is_met
from billing.invoices as invoices
left join (
    select source, invoice_id, sum(amount) as amount from billing.invoice_lines group by all
) as lines using (source, invoice_id)
where invoices.subtotal <> 0""",
    ),
    Seam(
        "paid invoices with a payment",
        *("billing", "billing"),
        """
select invoices.source, invoices.paid_at as recorded_at, payments.invoice_id is not null as is_met
from billing.invoices as invoices
left join (
    select distinct source, invoice_id from billing.payments where status = 'succeeded'
) as payments using (source, invoice_id)
where invoices.amount_paid > 0""",
    ),
    Seam(
        "running subscriptions with an invoice of their current period",
        *("billing", "billing"),
        """
select
    subscriptions.source, subscriptions.current_period_start as recorded_at,
    invoices.issued_at >= subscriptions.current_period_start - interval 1 day as is_met
from billing.subscriptions as subscriptions
semi join gate_mrr_now as running
    on subscriptions.source = running.source and subscriptions.subscription_id = running.subscription_id
    and running.mrr_reporting > 0
left join (
    select source, subscription_id, max(issued_at) as issued_at from billing.invoices group by all
) as invoices
    on subscriptions.source = invoices.source and subscriptions.subscription_id = invoices.subscription_id
where subscriptions.current_period_start < (select as_of from gate_run) - interval 1 hour""",
    ),
    Seam(
        "invoiced periods that their running subscriptions have begun",
        *("billing", "billing"),
        """
select
    lines.source, lines.period_start as recorded_at,
    subscriptions.current_period_start >= lines.period_start - interval 1 day as is_met
from (
    select source, subscription_id, max(period_start) as period_start
    from billing.invoice_lines
    where is_recurring and not coalesce(is_proration, false)
        and period_start < (select as_of from gate_run) - interval 1 hour
    group by all
) as lines
inner join billing.subscriptions as subscriptions using (source, subscription_id)
where subscriptions.ended_at is null""",
    ),
    Seam(
        "subscriptions with items",
        *("billing", "billing"),
        """
select
    subscriptions.source, subscriptions.created_at as recorded_at,
    items.subscription_id is not null as is_met
from billing.subscriptions as subscriptions
left join (select distinct source, subscription_id from billing.subscription_items) as items
    using (source, subscription_id)""",
    ),
    Seam(
        "quotas of owners the CRM knows",
        *("finance", "crm"),
        """
select
    source, cast(period_start as timestamptz) as recorded_at,
    owner_id in (select owner_id from crm.owners) as is_met
from finance.quotas""",
        at_least=0.5,
    ),
)

#: table, when a record came into being, columns that are known from then on.
FILLED = (
    ("crm.accounts", "created_at", ("name", "domain", "owner_id", "lifecycle_stage")),
    ("crm.contacts", "created_at", ("email", "account_id", "owner_id")),
    (
        "crm.opportunities",
        "created_at",
        ("account_id", "owner_id", "stage", "amount", "currency", "opportunity_type", "lead_source"),
    ),
    ("crm.activities", "occurred_at", ("activity_type", "owner_id")),
    ("email.recipients", "added_at", ("campaign_id", "email")),
    ("email.events", "occurred_at", ("recipient_id", "campaign_id", "email")),
    ("billing.customers", "created_at", ("email", "currency")),
    ("billing.subscriptions", "created_at", ("customer_id", "currency")),
    ("billing.invoices", "issued_at", ("customer_id", "subscription_id", "currency", "total")),
    ("billing.payments", "attempted_at", ("invoice_id", "amount", "status")),
)

#: table, when a record came into being, column whose values keep their shares.
SHARES = (
    ("crm.opportunities", "created_at", "opportunity_type"),
    ("crm.activities", "occurred_at", "activity_type"),
    ("email.events", "occurred_at", "event_type"),
    ("billing.payments", "attempted_at", "status"),
)

#: Less than this many records say nothing.
LEAST_RECORDS = 10
#: A share must differ by so much, and by so many standard deviations: runs are many, and chance is patient.
LEAST_CHANGE, DEVIATIONS = 0.1, 5
#: Which earlier runs are the norm: their median, so that one bad run is not.
NORM_DAYS = 90

_CREATE = """
create table if not exists gaps.coverage (
    as_of timestamptz not null,
    kind text not null,     -- seam, filled, share, rows
    subject text not null,  -- a seam's name, table.column, table.column = value, table
    source text not null,
    silo_left text not null,
    silo_right text not null,
    at_least double,
    records bigint not null,  -- all that should
    met bigint not null,      -- of them do
    recent_records bigint not null,  -- the same of the last seven days
    recent_met bigint not null,
    primary key (as_of, kind, subject, source)
)"""

# The instant is a parameter wherever rows are counted: a subquery for it would be a join for each count, with
# its arithmetic in each row.
_IS_RECENT = """recorded_at >= cast($as_of as timestamptz) - interval 7 day and recorded_at < $as_of"""

_SEAM = Template(
    """
insert into gaps.coverage
select
    $$as_of, 'seam', $$name, source, $$silo_left, $$silo_right, $$at_least,
    count(*), count(*) filter (is_met), count(*) filter ($recent), count(*) filter ($recent and is_met)
from ($records) as records
where recorded_at < $$as_of and source is not null
group by source"""
)

_FILLED = Template("""
insert into gaps.coverage
with counted as (
    select
        source, count(*) as records, count(*) filter ($recent) as recent_records, unnest([$columns]) as counts
    from (select *, $date as recorded_at from $table where not coalesce(is_deleted, false)) as records
    where recorded_at < $$as_of
    group by source
)
select
    $$as_of, 'filled', '$table.' || counts.name, source, '$silo', '$silo', null,
    records, counts.met, recent_records, counts.recent_met
from counted""")

_FILLED_COLUMN = Template(
    "{'name': '$column', 'met': count($column), 'recent_met': count($column) filter ($recent)}"
)

_SHARE = Template("""
insert into gaps.coverage
with counted as (
    select source, $column as value, count(*) as met, count(*) filter ($recent) as recent_met
    from (select *, $date as recorded_at from $table where not coalesce(is_deleted, false)) as records
    where recorded_at < $$as_of and $column is not null
    group by source, $column
)
select
    $$as_of, 'share', '$table.$column = ' || value, source, '$silo', '$silo', null,
    sum(met) over (partition by source), met, sum(recent_met) over (partition by source), recent_met
from counted""")

_ROWS = Template("""
insert into gaps.coverage
select
    $$as_of, 'rows', '$table', source, '$silo', '$silo', null, count(*),
    count(*) filter (not coalesce(is_deleted, false)), 0, 0
from $table
group by source""")

_DROPS = Template("""
create temp view gate_coverage_drops as
with scopes as (
    select
        as_of, kind, subject, source, silo_left, silo_right, at_least, unnest([
            {'scope': 'all', 'records': records, 'met': met},
            {'scope': 'recent', 'records': recent_records, 'met': recent_met}
        ], recursive := true)
    from gaps.coverage
    where kind <> 'rows'
),
present as (
    select scopes.* from scopes, gate_run as run
    where scopes.as_of = run.as_of and records >= $least_records
),
norm as (
    select
        kind, subject, source, scope, median(met / records) as usual, median(records) as usual_records
    from scopes, gate_run as run
    where
        scopes.as_of < run.as_of and scopes.as_of >= run.as_of - interval $norm_days day
        and records >= $least_records
    group by all
),
compared as (
    select
        present.*, norm.usual, met / records as share,
        -- One more that meets it and one that does not: what never failed so far may.
        (usual * usual_records + 1) / (usual_records + 2) as likely,
        $deviations * sqrt(likely * (1 - likely) * (1 / records + 1 / usual_records)) as most_by_chance
    from present
    left join norm using (kind, subject, source, scope)
)
select
    kind, subject, source, silo_left, silo_right, scope, records, met, share, usual, at_least,
    coalesce(
        case kind
            when 'share' then abs(share - usual) > greatest($least_change, most_by_chance)
            else usual - share > greatest($least_change, most_by_chance)
        end, false
    ) as is_unusual,
    coalesce(scope = 'all' and share < at_least, false) as is_below
from compared
where is_unusual or is_below
-- One row a subject: what all records show, recent ones do, too.
qualify row_number() over (partition by kind, subject, source order by scope) = 1""").substitute(
    least_records=LEAST_RECORDS, least_change=LEAST_CHANGE, deviations=DEVIATIONS, norm_days=NORM_DAYS
)

_FEWER_ROWS = """
create temp view gate_fewer_rows as
with former as (
    select coverage.*
    from gaps.coverage as coverage, gate_run as run
    where kind = 'rows' and coverage.as_of < run.as_of
    qualify row_number() over (partition by subject, source order by coverage.as_of desc) = 1
),
present as (
    select coverage.*
    from gaps.coverage as coverage, gate_run as run
    where kind = 'rows' and coverage.as_of = run.as_of
)
select
    former.subject as table_name, former.source, former.silo_left as silo, former.met as former_rows,
    former.as_of as former_as_of, coalesce(present.met, 0) as rows_now
from former
left join present using (subject, source)
where former.source in (select source from gate_sources)"""

#: Tables of which no fewer rows should be there than a run before.
COUNTED_TABLES = tuple(dict.fromkeys(table for table, _, _ in FILLED))


def measure(session: Session, as_of: datetime) -> None:
    """Count what this run sees, and make the views that compare it with earlier runs.

    In: the views of `facts`. A run for the same instant counts anew.
    """
    run = {"as_of": as_of}
    session.run(_CREATE)
    session.run("delete from gaps.coverage where as_of = $as_of", run)
    for seam in SEAMS:
        session.run(
            _SEAM.substitute(recent=_IS_RECENT, records=seam.records),
            {
                "name": seam.name,
                "silo_left": seam.silo_left,
                "silo_right": seam.silo_right,
                "at_least": seam.at_least,
                **run,
            },
        )
    for table, date, columns in FILLED:
        counts = ", ".join(_FILLED_COLUMN.substitute(column=one, recent=_IS_RECENT) for one in columns)
        session.run(_FILLED.substitute(_place(table, date), columns=counts), run)
    for table, date, column in SHARES:
        session.run(_SHARE.substitute(_place(table, date), column=column), run)
    for table in COUNTED_TABLES:
        session.run(_ROWS.substitute(_place(table)), run)
    session.run(_DROPS)
    session.run(_FEWER_ROWS)


def _place(table: str, date: str = "") -> dict[str, str]:
    return {"table": table, "silo": table.split(".")[0], "date": date, "recent": _IS_RECENT}
