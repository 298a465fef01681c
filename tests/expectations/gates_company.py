"""A small company in the silo contract, free of gaps, as a warehouse file the gates can run on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from expectations.facts import Source
from ingestion.contract import contract

AS_OF = datetime(2025, 12, 31, 12, tzinfo=UTC)
SOURCES = [
    Source("hub", "crm", False, 7),
    Source("mail", "email", False, 7),
    Source("pay", "billing", False, 7),
    Source("books", "finance", True, None),
]
NAMES = {source.silo: source.name for source in SOURCES}


def at(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


def _account(account_id: str, domain: str, stage: str, **more: Any) -> dict[str, Any]:
    created = at(2025, 1, int(account_id[1:]))
    return {
        "account_id": account_id,
        "owner_id": "o1",
        "name": domain.split(".")[0].title(),
        "domain": domain,
        "lifecycle_stage": stage,
        "created_at": created,
        **more,
    }


def _subscription(key: str, started: datetime, ended: datetime | None = None) -> dict[str, Any]:
    return {
        "subscription_id": f"sub_{key}",
        "customer_id": f"cus_{key}",
        "status": "canceled" if ended else "active",
        "currency": "USD",
        "created_at": started,
        "started_at": started,
        "ended_at": ended,
        "canceled_at": ended,
    }


def _item(key: str, started: datetime, ended: datetime | None, amount: str, **more: Any) -> dict[str, Any]:
    return {
        "subscription_item_id": f"si_{key}",
        "valid_from": started,
        "valid_to": ended,
        "subscription_id": f"sub_{key}",
        "price_id": "price_seat",
        "quantity": 1,
        "unit_amount": Decimal(amount),
        "currency": "USD",
        "interval": "month",
        "interval_count": 1,
        **more,
    }


OPPORTUNITY = {"owner_id": "o1", "product": "seat", "lead_source": "inbound"}

#: Acme and Cork pay (10,000 and 100 a month), Brick has left, Dune is a prospect whose contact replied.
ROWS: dict[str, list[dict[str, Any]]] = {
    "crm.accounts": [
        _account("a1", "acme.test", "customer", billing_customer_id="cus_acme"),
        _account("a2", "brick.test", "other"),
        _account("a3", "cork.test", "customer"),
        _account("a4", "dune.test", "opportunity"),
    ],
    "crm.owners": [{"owner_id": "o1", "email": "olga@seller.test", "team": "Sales", "is_active": True}],
    "crm.contacts": [
        {"contact_id": "p1", "account_id": "a1", "email": "ann@acme.test", "created_at": at(2025, 1, 2)},
        {"contact_id": "p4", "account_id": "a4", "email": "dora@dune.test", "created_at": at(2025, 12, 20)},
    ],
    "crm.leads": [{"lead_id": "p4", "email": "dora@dune.test", "created_at": at(2025, 12, 20)}],
    "crm.opportunities": [
        {
            "opportunity_id": "d1",
            "account_id": "a1",
            "outcome": "won",
            "opportunity_type": "new_business",
            "amount": Decimal(120000),
            "currency": "USD",
            "created_at": at(2025, 1, 2),
            "closed_at": at(2025, 1, 20),
            "billing_subscription_id": "sub_acme",
            "primary_contact_id": "p1",
            **OPPORTUNITY,
        },
        {
            "opportunity_id": "d4",
            "account_id": "a4",
            "outcome": "open",
            "opportunity_type": "new_business",
            "amount": Decimal(500),
            "currency": "USD",
            "created_at": at(2025, 12, 28),
            "close_date": date(2026, 1, 31),
            **OPPORTUNITY,
        },
    ],
    "crm.opportunity_contacts": [{"opportunity_id": "d4", "contact_id": "p4"}],
    # Somebody calls Acme a dozen times a day, and has called Dora, too.
    "crm.activities": [
        {
            "activity_id": f"t{number}",
            "activity_type": "call",
            "direction": "outbound",
            "account_id": "a1",
            "occurred_at": at(2025, 12, 31) - timedelta(hours=2 * number),
        }
        for number in range(12 * 70)
    ]
    + [
        {
            "activity_id": "t-dora",
            "activity_type": "call",
            "direction": "outbound",
            "lead_id": "p4",
            "occurred_at": at(2025, 12, 21),
        }
    ],
    "email.campaigns": [{"campaign_id": "c1", "kind": "outbound", "created_at": at(2025, 1, 1)}],
    "email.recipients": [
        {
            "recipient_id": "r1",
            "campaign_id": "c1",
            "email": "dora@dune.test",
            "added_at": at(2025, 12, 1),
        },
        {
            "recipient_id": "r2",
            "campaign_id": "c1",
            "email": "otto@else.test",
            "added_at": at(2025, 12, 1),
        },
    ],
    "email.events": [
        {
            "event_id": f"e{number}",
            "campaign_id": "c1",
            "recipient_id": recipient,
            "email": None,
            "event_type": kind,
            "occurred_at": at(2025, 12, day),
            "is_machine": machine,
        }
        for number, (recipient, kind, day, machine) in enumerate(
            [
                ("r1", "sent", 10, False),
                ("r2", "sent", 10, False),
                ("r1", "reply", 19, False),
                ("r2", "reply", 11, True),  # an absence notice
                ("r2", "reply", 31, False),  # still within the day of grace
            ]
        )
    ],
    "billing.customers": [
        {"customer_id": "cus_acme", "email": None, "currency": "USD", "created_at": at(2025, 1, 21)},
        {
            "customer_id": "cus_brick",
            "email": None,
            "currency": "USD",
            "crm_account_id": "a2",
            "created_at": at(2025, 2, 1),
        },
        {
            "customer_id": "cus_cork",
            "email": "bills@cork.test",
            "domain": "cork.test",
            "currency": "USD",
            "created_at": at(2025, 3, 1),
        },
    ],
    "billing.prices": [
        {
            "price_id": "price_seat",
            "plan_name": "Seat",
            "interval": "month",
            "interval_count": 1,
            "unit_amount": Decimal(100),
            "currency": "USD",
            "usage_type": "licensed",
            "is_recurring": True,
        }
    ],
    "billing.subscriptions": [
        _subscription("acme", at(2025, 1, 21)),
        _subscription("brick", at(2025, 2, 1), at(2025, 9, 1)),
        _subscription("cork", at(2025, 3, 1)),
    ],
    "billing.subscription_items": [
        _item("acme", at(2025, 1, 21), None, "10000"),
        _item("brick", at(2025, 2, 1), None, "50"),
        _item("cork", at(2025, 3, 1), None, "100"),
    ],
    "billing.invoices": [
        {
            "invoice_id": "in_1",
            "customer_id": "cus_acme",
            "subscription_id": "sub_acme",
            "status": "paid",
            "currency": "USD",
            "total": Decimal(10000),
            "amount_paid": Decimal(10000),
            "issued_at": at(2025, 12, 28),
            "paid_at": at(2025, 12, 28),
        }
    ],
    "billing.payments": [
        {
            "payment_id": "pay_1",
            "invoice_id": "in_1",
            "customer_id": "cus_acme",
            "amount": Decimal(10000),
            "currency": "USD",
            "status": "succeeded",
            "attempt": 1,
            "attempted_at": at(2025, 12, 28),
        }
    ],
    "finance.forecasts": [
        {
            "forecast_id": "f1",
            "category": "commit",
            "amount": Decimal(100),
            "currency": "USD",
            "period_start": at(2025, 10, 1),
            "period_end": at(2026, 1, 1),
            "submitted_at": at(2025, 10, 1),
        }
    ],
    "finance.quotas": [
        {
            "quota_id": "q1",
            "owner_id": "o1",
            "period_start": date(2025, 10, 1),
            "period_end": date(2026, 1, 1),
            "amount": Decimal(1000),
            "currency": "USD",
        }
    ],
    "finance.fx_rates": [
        {"rate_date": date(2025, month, 1), "currency": "EUR", "rate": Decimal("1.1")}
        for month in range(1, 13)
    ],
}


def build(warehouse: Path) -> None:
    """Write every contract table, with the rows above."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("set timezone = 'UTC'")
        for silo, tables in contract().items():
            connection.execute(f"create schema {silo}")
            for table, spec in tables.items():
                columns = {
                    "source": "text",
                    "loaded_at": "timestamptz",
                    "is_deleted": "boolean",
                } | spec.columns
                listed = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
                connection.execute(f"create table {silo}.{table} ({listed})")
        for table, rows in ROWS.items():
            insert(connection, table, *rows)
        connection.execute("create schema raw_books")
        connection.execute(
            "create table raw_books._unparsed"
            " (table_name text, column_name text, row_key text, raw_row json, error text, is_deleted boolean)"
        )


def restore(warehouse: Path, healthy: Path) -> None:
    """Give every table but the register the rows it has in another warehouse file."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(f"attach '{healthy}' as healthy (read_only)")
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'healthy'"
        ).fetchall()
        for schema, table in tables:
            connection.execute(f'delete from "{schema}"."{table}"')
            connection.execute(f'insert into "{schema}"."{table}" from healthy."{schema}"."{table}"')


def insert(connection: duckdb.DuckDBPyConnection, table: str, *rows: dict[str, Any]) -> None:
    """Add rows to a contract table, as its silo's source would."""
    for row in rows:
        full = {"source": NAMES[table.split(".")[0]], "is_deleted": False} | row
        columns = ", ".join(f'"{column}"' for column in full)
        connection.execute(
            f"insert into {table} ({columns}) values ({', '.join('?' * len(full))})", list(full.values())
        )


def model(warehouse: Path) -> None:
    """Identity and core as dbt would make them of these few rows, written by hand."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("set timezone = 'UTC'")
        for statement in _MODELS.split(";"):
            connection.execute(statement)


_MODELS = """
create schema if not exists identity;
create schema if not exists core;
create or replace table identity.crm_accounts as
select source, account_id, split_part(domain, '.', 1) as account, 'domain' as method from crm.accounts;
create or replace table identity.billing_customers as
select source, customer_id, replace(customer_id, 'cus_', '') as account from billing.customers;
create or replace table identity.people as
select distinct lower(email) as email, replace(lower(email), '+sales', '') as person
from (select email from crm.leads union all select email from email.recipients);
create or replace table identity.links as
select 'crm:' || source || ':' || account_id as record, 'domain:' || domain as match_key, 'domain' as method,
    domain as evidence
from crm.accounts where domain is not null;
create or replace table identity.candidates (
    kind text, left_record text, left_known_as text, right_record text, right_known_as text, method text,
    score double, evidence text, why text
);
create or replace table core.closing_rates as
select cast(month as date) as month, currency, rate
from generate_series(timestamp '2025-01-01', timestamp '2025-12-01', interval 1 month) as months (month)
cross join (values ('USD', 1.0), ('EUR', 1.1)) as rates (currency, rate);
create or replace table core.opportunities as
select
    opportunities.source, opportunity_id, split_part(domain, '.', 1) as account, opportunities.account_id,
    primary_contact_id, opportunities.owner_id, product, lead_source, campaign_id, outcome, opportunity_type,
    opportunities.created_at, closed_at, close_date, billing_subscription_id,
    amount as amount_local, opportunities.currency,
    cast(amount * rate as decimal(18, 2)) as amount
from crm.opportunities
left join crm.accounts
    on opportunities.source = accounts.source and opportunities.account_id = accounts.account_id
left join (select distinct currency, rate from core.closing_rates) as rates
    on opportunities.currency = rates.currency
where not opportunities.is_deleted;
create or replace table core.subscription_mrr as
select cast(month as date) as month, source, subscription_id, customer_id, currency, mrr
from (
    select
        s.source, s.subscription_id, s.customer_id, s.currency, s.started_at, s.ended_at,
        cast(i.unit_amount as decimal(18, 2)) as mrr
    from billing.subscriptions as s
    inner join billing.subscription_items as i using (subscription_id)
) as paid, generate_series(timestamp '2025-01-01', timestamp '2025-12-01', interval 1 month) as months (month)
where started_at < month + interval 1 month and (ended_at is null or ended_at >= month + interval 1 month);
create or replace table core.subscription_spans as
select
    s.source, s.subscription_id, s.customer_id, replace(s.customer_id, 'cus_', '') as account, s.currency,
    i.valid_from as from_at, s.ended_at as until_at, cast(i.unit_amount as decimal(18, 2)) as list_mrr,
    list_mrr as full_mrr, list_mrr as invoiced_mrr
from billing.subscriptions as s
inner join billing.subscription_items as i using (subscription_id);
create or replace table core.stage_visits (
    source text, opportunity_id text, label text, entered_at timestamptz, created_at timestamptz, exit text,
    is_imputed boolean
);
create or replace table core.attribution (
    source text, opportunity_id text, measure text, campaign_key text
);
create or replace table core.account_mrr as
select month, replace(customer_id, 'cus_', '') as account, currency, sum(mrr) as mrr
from core.subscription_mrr group by all;
create or replace table core.mrr_monthly as
with changes as (
    select
        month, account, mrr as closing,
        lag(mrr, 1, 0) over (partition by account order by month) as opening
    from core.account_mrr
)
select
    month, account, opening, if(opening = 0, closing, 0.00) as new, 0.00 as reactivation, 0.00 as expansion,
    0.00 as contraction, 0.00 as churn, 0.00 as fx, closing
from changes
union all
select date '2025-09-01', 'brick', 50, 0, 0, 0, 0, -50, 0, 0;
create or replace table core.revenue_walk as
select month, account, mrr, 0.00::decimal(18, 2) as billing_residual
from core.account_mrr
"""
