"""The simulated company: same arguments, same world; a later clock only adds; everything happens in it."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from world_records import born, key_of, moments, records

from sandbox.files import write_finance
from sandbox.simulation import simulate
from sandbox.world import Subscription, World

SMALL: dict[str, Any] = {"seed": 5, "months": 14, "size": 40}


def test_same_arguments_same_world() -> None:
    assert simulate(**SMALL) == simulate(**SMALL)
    assert simulate(**SMALL) != simulate(**{**SMALL, "seed": 6})


def test_nothing_has_happened_yet_at_or_after_the_clock(world: World) -> None:
    late = [(name, r) for name, r in records(world) if any(m >= world.now for m in moments(r))]
    assert late == []
    assert all(m.microsecond == 0 and m.tzinfo is UTC for _, r in records(world) for m in moments(r))


def test_a_later_clock_only_adds() -> None:
    """Records untouched since the earlier clock are equal; the others share id and a common past."""
    early_clock = datetime(2025, 8, 20, 13, 5, tzinfo=UTC)
    early, late = simulate(**SMALL, now=early_clock), simulate(**SMALL, now=early_clock + timedelta(days=45))
    later = {(name, key_of(r)): r for name, r in records(late)}
    changed = 0
    for name, record in records(early):
        now = later[name, key_of(record)]
        if record != now:
            changed += 1
            touched = now.archived_at if name == "campaigns" else now.updated_at
            assert touched >= early_clock, (name, record, now)
            for field, steps in getattr(record, "history", {}).items():
                assert now.history[field][: len(steps)] == steps
    assert 0 < changed < sum(1 for _ in records(early)) / 4
    new = set(later) - {(name, key_of(r)) for name, r in records(early)}
    stamped = [born(later[key]) for key in new if born(later[key]) is not None]
    assert stamped
    assert all(moment >= early_clock for moment in stamped)
    assert early.truth.gaps == late.truth.gaps[: len(early.truth.gaps)]


def test_ids_are_unique_and_links_lead_somewhere(world: World) -> None:
    keys = Counter((name, key_of(r)) for name, r in records(world))
    assert [key for key, count in keys.items() if count > 1] == []
    have = set(keys)
    for deal in world.crm.deals:
        assert ("companies", deal.company_id) in have and ("owners", deal.owner_id) in have
        assert deal.contact_ids and all(("contacts", key) in have for key in deal.contact_ids)
    for event in world.email.events:
        assert ("recipients", event.recipient_id) in have and ("campaigns", event.campaign_id) in have
    for subscription in world.billing.subscriptions:
        assert ("customers", subscription.customer_id) in have
    domains = Counter(c.domain for c in world.crm.companies if c.domain)
    twice = sum(count - 1 for count in domains.values())
    assert twice == sum(1 for gap in world.truth.gaps if gap.gap_type == "duplicate_accounts")


def test_it_is_as_big_as_promised(world: World) -> None:
    assert len(world.email.events) > 20_000
    assert 250 < len(world.crm.companies) < 400
    assert len(world.crm.owners) == 12
    assert len({o.team for o in world.crm.owners}) >= 3
    assert sum(len(o.history["team"]) > 1 for o in world.crm.owners) >= 2
    assert {c.currency for c in world.billing.customers} == {"USD", "EUR", "GBP"}


def test_every_thing_that_can_happen_happens(world: World) -> None:
    email, billing, crm = world.email, world.billing, world.crm
    kinds = {(e.event_type, e.is_machine) for e in email.events}
    assert kinds >= {("open", True), ("open", False), ("reply", True), ("reply", False), ("click", False)}
    assert {e.bounce_type for e in email.events} == {None, "hard", "soft"}
    assert {r.status for r in email.recipients} == {
        "active",
        "replied",
        "bounced",
        "unsubscribed",
        "finished",
    }
    assert {d.deal_type for d in crm.deals} == {"new_business", "expansion", "renewal"}
    assert {c.lead_source for c in crm.contacts} == {"outbound", "inbound", "referral", "event"}
    assert any(d.archived_at for d in crm.deals) and any(c.archived_at for c in crm.contacts)
    assert any(len(d.history["owner_id"]) > 1 for d in crm.deals)
    assert any(len(d.history["close_date"]) > 2 for d in crm.deals)
    assert all(d.lost_reason for d in crm.deals if d.stage in ("closedlost", "renewal_lost"))
    assert any("@gmail.com" in (c.email or "") for c in crm.contacts)
    assert any(c.deleted_at for c in billing.customers)
    assert billing.refunds and billing.credit_notes
    assert {i.billing_reason for i in billing.invoices} == {
        *("subscription_create", "subscription_cycle", "subscription_update", "manual")
    }
    assert any(i.tax > 0 for i in billing.invoices) and any(i.status == "void" for i in billing.invoices)
    reasons = {s.cancellation_reason for s in billing.subscriptions}
    assert reasons == {None, "cancellation_requested", "payment_failed"}
    trials = [s for s in billing.subscriptions if s.trial_end]
    assert any(s.ended_at == s.trial_end for s in trials) and any(s.ended_at is None for s in trials)
    assert any(d.amount_off for d in billing.discounts)
    assert {d.duration for d in billing.discounts} == {"repeating", "forever"}
    intervals = {p.id: (p.interval, p.interval_count) for p in billing.prices}
    used = {intervals[i.price_id] for s in billing.subscriptions for i in s.items}
    assert used == {("month", 1), ("month", 3), ("year", 1)}
    assert any(len({intervals[i.price_id] for i in s.items}) > 1 for s in billing.subscriptions)
    assert any(s.ended_at and s.ended_at < s.current_period_end for s in billing.subscriptions)
    assert max(Counter(s.customer_id for s in billing.subscriptions).values()) > 1
    failed = {p.invoice_id: p.attempted_at for p in reversed(billing.payments) if p.status == "failed"}
    waits = [i.paid_at - failed[i.id] for i in billing.invoices if i.id in failed and i.paid_at]
    assert min(waits) < timedelta(days=30) < max(waits)


def history_of(subscription: Subscription) -> dict[tuple[str, datetime], tuple[str, int]]:
    return {(i.item_id, i.valid_from): (i.price_id, i.quantity) for i in subscription.items}


def test_item_history_can_be_read_from_invoice_lines(world: World) -> None:
    """What is billed for an item from an instant on is what it is from then on."""
    billed: dict[tuple[str, datetime], tuple[str, int]] = {}
    credits: set[tuple[str, datetime]] = set()
    of: dict[str, str] = {}
    for invoice in world.billing.invoices:
        for line in invoice.lines:
            if line.item_id is None:
                continue
            of[line.item_id] = invoice.subscription_id or ""
            key = (line.item_id, line.period_start)
            if line.is_proration and line.amount < 0:
                credits.add(key)
            else:
                billed[key] = (line.price_id, line.quantity)
    for subscription in world.billing.subscriptions:
        mine = {key: value for key, value in sorted(billed.items()) if of[key[0]] == subscription.id}
        derived: dict[tuple[str, datetime], tuple[str, int]] = {}
        last: dict[str, tuple[str, int]] = {}
        for (item, since), value in mine.items():
            if last.get(item) != value:
                derived[item, since] = last[item] = value
        assert derived == history_of(subscription)
        for version in subscription.items:
            if version.valid_to not in (None, subscription.ended_at):
                assert (version.item_id, version.valid_to) in credits
            assert (version.valid_from.hour, version.valid_from.minute) != (0, 0)


def test_pauses_can_be_read_from_voided_cycle_invoices(world: World) -> None:
    voided: dict[str, list[tuple[datetime, datetime]]] = {}
    for invoice in world.billing.invoices:
        if invoice.status == "void":
            assert invoice.voided_at == invoice.created_at
            span = (invoice.lines[0].period_start, invoice.lines[0].period_end)
            voided.setdefault(invoice.subscription_id or "", []).append(span)
    for subscription in world.billing.subscriptions:
        spans = voided.get(subscription.id, [])
        paused = [
            span
            for p in subscription.pauses
            for span in spans
            if p.paused_at <= span[0] and span[1] <= (p.resumed_at or span[1])
        ]
        assert paused == spans
        for pause in subscription.pauses:
            assert pause.paused_at in {start for start, _ in spans}
            assert pause.resumed_at is None or pause.resumed_at in {end for _, end in spans}


def test_invoices_add_up(world: World) -> None:
    paid: dict[str, Decimal] = {}
    for payment in world.billing.payments:
        if payment.status == "succeeded":
            paid[payment.invoice_id] = paid.get(payment.invoice_id, Decimal(0)) + payment.amount
    for invoice in world.billing.invoices:
        assert invoice.subtotal == sum(line.amount for line in invoice.lines)
        assert invoice.total == invoice.subtotal - invoice.discount + invoice.tax
        assert invoice.amount_paid == paid.get(invoice.id, 0)
        assert all(line.discount <= line.amount or line.amount < 0 for line in invoice.lines)
        assert (invoice.status == "paid") == (invoice.paid_at is not None)


def test_finance_files_are_written_once(tmp_path: Path) -> None:
    world = simulate(**SMALL)
    paths = write_finance(world, tmp_path)
    assert [p.name for p in paths] == ["spend.csv", "quotas.csv", "forecasts.csv", "fx_rates.csv"]
    first = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in paths}
    write_finance(simulate(**SMALL), tmp_path)
    assert first == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in paths}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in paths)
    rows = (tmp_path / "fx_rates.csv").read_text().splitlines()
    assert rows[0] == "rate_date,currency,rate"
    assert len(rows) == 1 + len(world.finance.fx_rates)
    header = (tmp_path / "forecasts.csv").read_text().splitlines()[0]
    assert header == (
        "forecast_id,owner_id,team,category,period_start,period_end,submitted_at,amount,currency"
    )
