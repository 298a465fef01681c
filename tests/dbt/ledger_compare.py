"""Differences between dbt's identity and core tables and the ledger of the simulated company.

Each function takes a connection to a built warehouse and the ledger of the world it was loaded from, and
returns what they disagree on, an empty list when they agree. Accounts have other names on either side: a dbt
account is known by the CRM accounts and billing customers it is made of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb

from sandbox.ledger import Ledger
from sandbox.ledger.funnel import funnel_steps
from sandbox.ledger.identity import Identities
from sandbox.simulation.names import FREE_MAIL

Connection = duckdb.DuckDBPyConnection
Differences = list[str]
#: What dbt has and what the truth is, by the same keys.
Sides = tuple[dict[Any, tuple[Any, ...]], dict[Any, tuple[Any, ...]]]


def all_differences(warehouse: Connection, ledger: Ledger) -> Differences:
    """Every disagreement."""
    checks: list[Callable[[Connection, Ledger], Differences]] = [
        identity_differences,
        subscription_mrr_differences,
        movement_differences,
        opportunity_differences,
        renewal_differences,
        funnel_differences,
    ]
    return [difference for check in checks for difference in check(warehouse, ledger)]


def differences_beyond_identity(warehouse: Connection, ledger: Ledger) -> Differences:
    """Disagreements on what does not hang on who is who: subscriptions, deals and contracts, and their sums.

    Closing MRR is compared by month, up to the cent that each account and currency is rounded to.
    """
    sold = [{key: row[1:] for key, row in side.items()} for side in _opportunities(warehouse, ledger)]
    due = [{key: row[1] for key, row in side.items()} for side in _renewals(warehouse, ledger)]
    differences = subscription_mrr_differences(warehouse, ledger)
    differences += _unequal("opportunity", *sold) + _unequal("renewal's amount due", *due)
    closing: dict[date, Decimal] = defaultdict(Decimal)
    for movement in ledger.mrr_movements:
        closing[movement.month] += movement.closing
    months = warehouse.execute(
        "select month, sum(closing), count(*) from core.mrr_monthly group by month order by month"
    ).fetchall()
    for month, found, accounts in months:
        if abs(found - closing.pop(month)) > Decimal("0.01") * accounts:
            differences.append(f"closing MRR of {month}: dbt has {found}")
    return differences + [f"closing MRR of {month}: dbt has none" for month in closing]


def identity_differences(warehouse: Connection, ledger: Ledger) -> Differences:
    """Records that dbt parts or joins otherwise than the truth does, and people at the wrong company."""
    found = {
        (silo, key): account
        for silo, key, account in warehouse.execute(
            "select 'crm', account_id, account from identity.crm_accounts"
            " union all select 'billing', customer_id, account from identity.billing_customers"
        ).fetchall()
    }
    # Billing lists no customers deleted before the first load: of those never invoiced nobody can know.
    deleted = {("billing", c.id) for c in ledger.world.billing.customers if c.deleted_at}
    billed = {("billing", invoice.customer_id) for invoice in ledger.world.billing.invoices}
    unseen = deleted - billed - found.keys()
    everyone = {("crm", key): account for key, account in ledger.identities.companies.items()}
    everyone |= {("billing", key): account for key, account in ledger.identities.customers.items()}
    true = {record: account for record, account in everyone.items() if record not in unseen}
    differences = _unequal("record", dict.fromkeys(found, True), dict.fromkeys(true, True))
    differences += _unequal("account", _partition(found), _partition(true))
    true_accounts = _true_accounts(warehouse, ledger)
    known = {c.email.lower(): ledger.identities.contacts[c.id] for c in ledger.world.crm.contacts if c.email}
    people = warehouse.execute("select email, account from identity.people").fetchall()
    for email, account in people:
        if email in known and account is not None and true_accounts[account] != known[email]:
            differences.append(f"person of {known[email]}: dbt says {true_accounts[account]}")
    return differences


def subscription_mrr_differences(warehouse: Connection, ledger: Ledger) -> Differences:
    """MRR of each subscription at each month's end, in its own currency."""
    found = {
        (month, subscription): (currency, mrr)
        for month, subscription, currency, mrr in warehouse.execute(
            "select month, subscription_id, currency, mrr from core.subscription_mrr"
        ).fetchall()
    }
    ends = warehouse.execute(
        "select period_start, t_end from core.calendar where period = 'month'"
    ).fetchall()
    true = {
        (month, subscription.id): (subscription.currency, mrr)
        for month, end in ends
        for subscription in ledger.world.billing.subscriptions
        if (mrr := ledger.revenue.of(subscription, end))
    }
    return _unequal("subscription MRR", found, true)


def movement_differences(warehouse: Connection, ledger: Ledger) -> Differences:
    """Every account, month and column of the bridge."""
    accounts = _true_accounts(warehouse, ledger)
    found = {
        (accounts[account], month): tuple(amounts)
        for account, month, *amounts in warehouse.execute(
            'select account, month, opening, "new", reactivation, expansion, contraction, churn, fx, closing,'
            " is_involuntary from core.mrr_monthly"
        ).fetchall()
    }
    true = {
        (m.account, m.month): (
            *(m.opening, m.new, m.reactivation, m.expansion, m.contraction, m.churn, m.fx, m.closing),
            m.involuntary,
        )
        for m in ledger.mrr_movements
    }
    return _unequal("movement", found, true)


def opportunity_differences(warehouse: Connection, ledger: Ledger) -> Differences:
    """Deals: account, outcome, kind, days, and once closed the amount and the team."""
    return _unequal("opportunity", *_opportunities(warehouse, ledger))


def _opportunities(warehouse: Connection, ledger: Ledger) -> Sides:
    accounts = _true_accounts(warehouse, ledger)
    found = {
        key: (account and accounts[account], outcome, kind, created, closed, *(rest if closed else ()))
        for key, account, outcome, kind, created, closed, *rest in warehouse.execute(
            "select opportunity_id, account, outcome, opportunity_type, created_at, closed_at, amount, team,"
            " cycle_days from core.opportunities"
        ).fetchall()
    }
    true = {
        o.id: (
            *(
                o.account,
                o.outcome,
                o.kind,
                _to_second(o.created_at),
                o.closed_at and _to_second(o.closed_at),
            ),
            *((o.amount, o.team, o.cycle) if o.closed_at else ()),
        )
        for o in ledger.opportunities
    }
    return _to_second(found), true


def renewal_differences(warehouse: Connection, ledger: Ledger) -> Differences:
    """Contracts fallen due, with both amounts."""
    return _unequal("renewal", *_renewals(warehouse, ledger))


def _renewals(warehouse: Connection, ledger: Ledger) -> Sides:
    accounts = _true_accounts(warehouse, ledger)
    found = {
        (subscription, due): (accounts[account], amount_due, amount_renewed)
        for subscription, due, account, amount_due, amount_renewed in warehouse.execute(
            "select subscription_id, due_at, account, amount_due, amount_renewed from core.renewals"
        ).fetchall()
    }
    true = {
        (r.subscription_id, r.due_at): (r.account, r.amount_due, r.amount_renewed) for r in ledger.renewals
    }
    return _to_second(found), _to_second(true)


def funnel_differences(warehouse: Connection, ledger: Ledger) -> Differences:
    """When each true account first reached each step.

    A private address that is no contact's belongs to no company as far as any silo knows: what it was sent
    does not count here.
    """
    world = ledger.world
    contacts = {contact.email.lower() for contact in world.crm.contacts if contact.email}
    known = Identities(world.truth)
    for recipient in world.email.recipients:
        email = recipient.email.lower()
        if email.split("@")[1] in FREE_MAIL and email not in contacts:
            known.recipients.pop(recipient.id, None)
    true = {
        (journey.account, step): when
        for journey in funnel_steps(world, known).values()
        for step, when in journey.reached.items()
    }
    accounts = _true_accounts(warehouse, ledger)
    by_domain = {
        recipient.email.lower().split("@")[1]: ledger.identities.recipients[recipient.id]
        for recipient in world.email.recipients
    }
    found: dict[tuple[str, str], datetime] = {}
    for journey, account, step, when in warehouse.execute(
        "select journey_id, account, step, min(occurred_at) from core.funnel_events"
        " where not is_imputed group by all"
    ).fetchall():
        company = accounts[account] if account else by_domain.get(journey.removeprefix("domain:"))
        if company is not None:
            found[company, step] = min(found.get((company, step), when), when)
    return _unequal("funnel step", _to_second(found), _to_second(true))


def _true_accounts(warehouse: Connection, ledger: Ledger) -> dict[str, str]:
    """Account in dbt -> the true one, of its first record."""
    rows = warehouse.execute(
        "select account, 'crm', account_id from identity.crm_accounts"
        " union all select account, 'billing', customer_id from identity.billing_customers"
    ).fetchall()
    truth = {"crm": ledger.identities.companies, "billing": ledger.identities.customers}
    return {account: truth[silo][key] for account, silo, key in sorted(rows, reverse=True)}


def _partition(accounts: dict[Any, str]) -> dict[Any, tuple[Any, ...]]:
    """Record -> all records of its account."""
    members: dict[str, list[Any]] = defaultdict(list)
    for record, account in accounts.items():
        members[account].append(record)
    return {record: tuple(sorted(members[account])) for record, account in accounts.items()}


def _unequal(what: str, found: dict[Any, Any], true: dict[Any, Any]) -> Differences:
    return [
        f"{what} {key}: dbt has {found.get(key)}, the truth is {true.get(key)}"
        for key in sorted({*found, *true}, key=str)
        if found.get(key) != true.get(key)
    ]


def _to_second(value: Any) -> Any:
    """Without fractions of a second, which some vendors do not keep."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(microsecond=0)
    if isinstance(value, dict):
        return {_to_second(key): _to_second(one) for key, one in value.items()}
    return tuple(_to_second(one) for one in value) if isinstance(value, tuple) else value
