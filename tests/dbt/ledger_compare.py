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
from sandbox.ledger.arithmetic import periods
from sandbox.ledger.attribution import MODELS, attribution
from sandbox.ledger.bottlenecks import bottlenecks
from sandbox.ledger.funnel import Funnel
from sandbox.ledger.identity import Identities

Connection = duckdb.DuckDBPyConnection
Differences = list[str]
#: What dbt has and what the truth is, by the same keys.
Sides = tuple[dict[Any, tuple[Any, ...]], dict[Any, tuple[Any, ...]]]


def all_differences(warehouse: Connection, ledger: Ledger) -> Differences:
    """Every disagreement."""
    checks: list[Callable[[Connection, Ledger], Differences]] = [
        identity_differences,
        revenue_differences,
        opportunity_differences,
        funnel_differences,
        attribution_differences,
        bottleneck_differences,
        waterfall_differences,
        forecast_differences,
    ]
    return [difference for check in checks for difference in check(warehouse, ledger)]


def revenue_differences(warehouse: Connection, ledger: Ledger) -> Differences:
    """Disagreements on subscriptions' MRR, accounts' movements and contracts fallen due."""
    checks = (
        subscription_mrr_differences,
        movement_differences,
        renewal_differences,
        walk_differences,
    )
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


def walk_differences(warehouse: Connection, ledger: Ledger) -> Differences:
    """MRR as billed, cash and what is signed but not live, of every account and month; and no residual.

    In this company every contract is invoiced as it should be, and every payment has its invoice.
    """
    accounts = _true_accounts(warehouse, ledger)
    rows = warehouse.execute(
        "select account, month, billed_mrr, cash, -signed_not_live, billing_residual, invoicing_residual,"
        " cash_residual from core.revenue_walk"
    ).fetchall()
    found = {(accounts[account], month): amounts for account, month, *amounts in rows if any(amounts)}
    true = (ledger.billing.billed_mrr, ledger.billing.cash, ledger.billing.not_live)
    zero = Decimal(0)
    return _unequal(
        "revenue walk",
        found,
        {
            key: [*(side.get(key, zero) for side in true), zero, zero, zero]
            for key in {key for side in true for key in side}
        },
    )


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
    """Every step of every journey: when, which record shows it, whether it is imputed; and their totals."""
    names, funnel = _prospects(warehouse, ledger), _funnel(warehouse, ledger)
    found = {}
    for prospect, cycle, step, stage, at, silo, record, imputed in warehouse.execute(
        "select journeys.prospect, journeys.cycle, step, stage, occurred_at, silo, record_id, is_imputed"
        " from marts.funnel_steps inner join core.journeys using (journey_id)"
    ).fetchall():
        name = step if stage == "(none)" else f"stage:{stage}"
        record = (
            record.rsplit("-", 1)[-1] if silo == "email" else record
        )  # ids of events have their kind before
        found[names(prospect), cycle, name] = (at, None if imputed else f"{silo}:{record}")
    true = {
        (*key, name): (at, None if name in journey.imputed else journey.records[name])
        for key, journey in funnel.journeys.items()
        for name, at in journey.reached.items()
    }
    differences = _unequal("funnel step", _to_second(found), _to_second(true))
    steps = [name for name in sorted({key[2] for key in true}) if not name.startswith("stage:")]
    wide = warehouse.execute(
        f"select journeys.prospect, journeys.cycle, {', '.join(f'{step}_at' for step in steps)}"
        " from marts.funnel inner join core.journeys using (journey_id)"
    ).fetchall()
    published = {
        (names(prospect), cycle, step): at
        for prospect, cycle, *times in wide
        for step, at in zip(steps, times, strict=True)
        if at is not None
    }
    whole = {key: at for key, (at, _) in true.items() if key[2] in steps}
    differences += _unequal("journey's step", _to_second(published), _to_second(whole))
    totals = warehouse.execute(
        f"select {', '.join(f'count({step}_at)' for step in steps)} from marts.funnel"
    ).fetchall()[0]
    counted = {step: sum(1 for key in whole if key[2] == step) for step in steps}
    return differences + _unequal("journeys at step", dict(zip(steps, totals, strict=True)), counted)


def attribution_differences(warehouse: Connection, ledger: Ledger) -> Differences:
    """What each channel and campaign earned of every deal, by model; totals by month, and of KPIs."""
    credits = attribution(_funnel(warehouse, ledger), ledger.exchange)
    true = {key: tuple(parts.values()) for key, parts in credits.items()}
    found = {
        (deal, measure, channel, campaign and campaign.split(":")[1]): tuple(parts)
        for deal, measure, channel, campaign, *parts in warehouse.execute(
            "select opportunity_id, measure, channel, campaign_key, "
            + ", ".join(f"sum({model})" for model in MODELS)
            + " from core.attribution group by all"
        ).fetchall()
    }
    differences = _unequal("credit", found, true)
    deals = {deal.id: deal for deal in ledger.world.crm.deals}
    totals: dict[tuple[str, str, date, str], Decimal] = defaultdict(Decimal)
    for (deal, measure, channel, _), parts in true.items():
        at = deals[deal].created_at if measure == "pipeline" else deals[deal].closed_at
        assert at is not None
        for model, part in zip(MODELS, parts, strict=True):
            totals[measure, model, at.date().replace(day=1), channel] += part
    published = {
        (measure, model, month, channel): amount
        for measure in ("pipeline", "revenue")
        for model, month, channel, amount in warehouse.execute(
            f"select model, month, channel, sum({measure}) from marts.attribution group by all"
        ).fetchall()
    }
    differences += _unequal("channel's month", _not_zero(published), _not_zero(totals))
    kpis = warehouse.execute(
        "select split_part(kpi, '_', 2), 'position_based', period_start, segment_value, value"
        " from marts.kpi_values where kpi like 'attributed_%' and segment = 'channel' and period = 'month'"
    ).fetchall()
    canonical = {key: amount for key, amount in totals.items() if key[1] == "position_based"}
    shown = {tuple(key): value for *key, value in kpis}
    return differences + _unequal("KPI", _not_zero(shown), _not_zero(canonical))


def bottleneck_differences(warehouse: Connection, ledger: Ledger) -> Differences:
    """Deals in each stage of the CRM, by quarter and team: how many, how long, and what is stuck."""
    found = {
        (quarter, stage, team): tuple(figures)
        for quarter, stage, team, *figures in warehouse.execute(
            "select quarter, stage, team, entered, advanced, exited, waiting, stuck, revenue_stuck,"
            " median_days from marts.bottlenecks where step = 'opportunity'"
        ).fetchall()
    }
    true = {
        key: (b.entered, b.advanced, b.exited, b.waiting, b.stuck, b.revenue_stuck, b.median)
        for key, b in bottlenecks(ledger.world, ledger.exchange, ledger.opportunities).items()
    }
    return _unequal("bottleneck", found, true)


def waterfall_differences(warehouse: Connection, ledger: Ledger) -> Differences:
    """Every month's and quarter's pipeline, movement by movement, of the company, its teams and its reps."""
    movements = (
        *("opening", "new", "pulled_in", "reopened", "amount_up", "amount_down", "pushed_out"),
        *("won", "lost", "fx", "transferred", "closing"),
    )
    columns = ", ".join(f'"{movement}"' for movement in movements)
    found = {
        (period, start, segment, value): tuple(amounts)
        for period, start, segment, value, *amounts in warehouse.execute(
            f"select period, period_start, segment, segment_value, {columns} from marts.pipeline_waterfall"
        ).fetchall()
        if any(amounts)
    }
    true = {
        (period.kind, period.start, *segment): tuple(flow[movement] for movement in movements)
        for period in periods(ledger.world.start.date(), ledger.world.now)
        if period.kind in ("month", "quarter")
        for segment, flow in ledger.pipeline.waterfall(period).items()
        if any(flow.values())
    }
    return _unequal("waterfall", found, true)


def forecast_differences(warehouse: Connection, ledger: Ledger) -> Differences:
    """Every quarter's forecast and what came of it, by method; bounds, which are floats, to a cent."""
    found, bounds = {}, {}
    for quarter, method, forecast, actual, *between in warehouse.execute(
        "select quarter, method, forecast, actual, lower_80, upper_80 from marts.forecasts"
    ).fetchall():
        found[quarter, method] = (forecast, actual)
        bounds[quarter, method] = tuple(between) if any(between) else None
    true = {key: (row.forecast, row.actual) for key, row in ledger.forecasts.rows.items()}
    differences = _unequal("forecast", found, true)
    for key, row in ledger.forecasts.rows.items():
        here = bounds.get(key)
        if (here is None) != (row.bounds is None) or (
            here
            and row.bounds
            and any(abs(float(a) - b) > 0.011 for a, b in zip(here, row.bounds, strict=True))
        ):
            differences.append(f"interval {key}: dbt has {here}, the truth is {row.bounds}")
    return differences


def _not_zero(amounts: dict[Any, Decimal]) -> dict[Any, Decimal]:
    return {key: amount for key, amount in amounts.items() if amount}


def _funnel(warehouse: Connection, ledger: Ledger) -> Funnel:
    """The true journeys.

    Whom an address belongs to that neither CRM nor billing has, dbt may not know: they travel as it says.
    """
    names, placed = _prospects(warehouse, ledger), _placed(warehouse)
    known = Identities(ledger.world.truth)
    for recipient in ledger.world.email.recipients:
        if recipient.email.lower() in placed:
            known.recipients[recipient.id] = names(placed[recipient.email.lower()])
    return Funnel(ledger.world, known, ledger.revenue, ledger.mrr_movements, ledger.renewals)


def _placed(warehouse: Connection) -> dict[str, str]:
    """Address -> whose journey dbt takes its e-mail to be part of."""
    return dict(
        warehouse.execute(
            "select distinct lower(trim(email)), prospect from core.funnel_records as records"
            " inner join email.events on records.silo = 'email' and records.record_id = events.event_id"
        ).fetchall()
    )


def _prospects(warehouse: Connection, ledger: Ledger) -> Callable[[str], str]:
    """The true account that a prospect in dbt is; its own name if it is none."""
    accounts = _true_accounts(warehouse, ledger)
    return lambda prospect: accounts.get(prospect, prospect)


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
