"""What is missing without any remaining value being wrong: seams, fields, days, weeks, rows and silence."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import gates_company as company
import pytest
from gates_company import AS_OF, SOURCES

from expectations import engine
from expectations.catalogue import GATES
from expectations.engine import evaluate
from expectations.facts import Source

DAY = timedelta(days=1)
DOORS = ("incomplete_load", "unexpected_value", "missing_day", "stale_source")

#: Acme is called ten times a day more or less, for fourteen months; a hundred people get a mail every week;
#: Acme has paid two invoices a day since June.
HISTORY = """
delete from crm.activities where account_id = 'a1';
insert into crm.activities by name
select
    'hub' as source, 'h' || day || '-' || number as activity_id, 'call' as activity_type,
    'outbound' as direction, 'a1' as account_id, 'o1' as owner_id,
    timestamptz '2025-12-31' - to_days(day) + to_hours(number) as occurred_at, false as is_deleted
from range(430) as days (day), range(14) as numbers (number)
where number < 8 + hash(day) % 5;
insert into email.recipients by name
select 'mail' as source, 'q' || range as recipient_id, 'c1' as campaign_id,
    'q' || range || '@else.test' as email,
    timestamptz '2025-01-02' as added_at, false as is_deleted
from range(100);
insert into email.events by name
select 'mail' as source, 'v' || week || '-' || number as event_id, 'c1' as campaign_id,
    'q' || number as recipient_id, 'q' || number || '@else.test' as email, 'sent' as event_type,
    timestamptz '2025-12-31' - to_days(cast(7 * week + number % 5 as integer)) as occurred_at,
    false as is_machine, false as is_deleted
from range(100) as numbers (number), range(20) as weeks (week);
insert into billing.invoices by name
select 'pay' as source, 'x' || range as invoice_id, 'cus_acme' as customer_id, 'sub_acme' as subscription_id,
    'paid' as status, 'USD' as currency, 10 as subtotal, 10 as total, 10 as amount_paid,
    timestamptz '2025-12-30' - to_days(cast(range // 2 as integer)) as issued_at,
    issued_at as paid_at, false as is_deleted
from range(400);
insert into billing.invoice_lines by name
select 'pay' as source, 'l' || invoice_id as invoice_line_id, invoice_id, subscription_id, 10 as amount,
    currency, false as is_deleted
from billing.invoices where subtotal = 10;
insert into billing.payments by name
select 'pay' as source, 'y' || invoice_id as payment_id, invoice_id, customer_id, 10 as amount, currency,
    'succeeded' as status, 1 as attempt, paid_at as attempted_at, false as is_deleted
from billing.invoices where subtotal = 10
"""


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The company with more to do, after a week of daily runs that found nothing at its doors."""
    warehouse = tmp_path_factory.mktemp("busy") / "warehouse.duckdb"
    company.build(warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(HISTORY)
    company.model(warehouse)
    for days in range(5, 0, -1):
        assert doors(warehouse, -days * DAY) == []
    return warehouse


@pytest.fixture
def warehouse(busy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(engine, "GATES", [gate for gate in GATES if gate.gap_type in DOORS])
    return Path(shutil.copy(busy, tmp_path / "warehouse.duckdb"))


def doors(
    warehouse: Path, later: timedelta = timedelta(0), sources: Sequence[Source] = SOURCES
) -> list[tuple[str, str, str, str]]:
    """Gap type, key and both values of what is open at the doors after a run."""
    evaluate(warehouse, warehouse.with_name("register.parquet"), sources, AS_OF + later, "USD")
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return connection.execute(
            "select gap_type, key_left, value_left, value_right from gaps.register"
            f" where resolved_at is null and gap_type in {DOORS} order by all"
        ).fetchall()


@pytest.mark.parametrize(
    ("corrupt", "gaps"),
    [
        ("", []),
        # Half of the events of the last week: nothing refers to them, and nothing in the rest is wrong.
        (
            "delete from email.events where occurred_at >= '2025-12-24' and hash(event_id) % 2 = 0",
            [("missing_day", "mail email.events of the last week")],
        ),
        # Half of the lines of new invoices.
        (
            "delete from billing.invoice_lines where invoice_id in ('x0', 'x2', 'x4', 'x6', 'x8', 'x10')",
            [("incomplete_load", "pay invoices whose lines add up to them")],
        ),
        # An id whose type has changed: it matches nothing any more.
        (
            "update billing.payments set invoice_id = null where source = 'pay'",
            [
                ("incomplete_load", "pay paid invoices with a payment"),
                ("unexpected_value", "pay billing.payments.invoice_id"),
            ],
        ),
        # A table that shrinks.
        (
            "delete from crm.activities where hash(activity_id) % 5 = 0 and occurred_at < '2025-10-01'",
            [("missing_day", "hub crm.activities")],
        ),
        # What the source has begun to say otherwise.
        (
            "update email.events set event_type = 'delivered' where occurred_at >= '2025-12-25'",
            [("unexpected_value", "mail email.events.event_type = sent")],
        ),
    ],
)
def test_what_no_single_record_shows_is_seen_in_the_next_run(
    corrupt: str, gaps: list[tuple[str, str]], warehouse: Path
) -> None:
    if corrupt:
        with duckdb.connect(str(warehouse)) as connection:
            connection.execute("set timezone = 'UTC'")
            connection.execute(corrupt)
    assert [row[:2] for row in doors(warehouse)] == gaps


def test_a_source_is_stale_after_twice_its_own_longest_silence(warehouse: Path) -> None:
    # Mails go out on five days of each week: never more than three days without.
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("delete from email.events where occurred_at >= '2025-12-29'")
        connection.execute("delete from email.events where event_id like 'e%'")
    own = [replace(source, max_age_days=None) for source in SOURCES]
    assert "stale_source" not in [row[0] for row in doors(warehouse, sources=own)]
    [row] = [row for row in doors(warehouse, 6 * DAY, own) if row[:2] == ("stale_source", "mail")]
    assert row[3] == "never more than 3 days without one before"


def test_a_quiet_week_of_every_year_is_no_gap(warehouse: Path) -> None:
    quiet = (
        "delete from crm.activities"
        " where hash(activity_id) % 2 = 0 and occurred_at >= '{}' and occurred_at < '{}'"
    )
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(quiet.format("2025-12-24", "2025-12-31"))
    assert ("missing_day", "hub crm.activities of the last week") in [row[:2] for row in doors(warehouse)]
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(quiet.format("2024-12-25", "2025-01-01"))
    assert doors(warehouse) == []


def test_a_run_for_the_same_instant_counts_anew(warehouse: Path) -> None:
    doors(warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        before = connection.execute("from gaps.coverage order by all").fetchall()
    doors(warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        assert connection.execute("from gaps.coverage order by all").fetchall() == before
