"""The noise of the simulated company: every kind, the same at any clock, and nothing but who is who."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from world_records import born, key_of, moments, records

from sandbox.ledger import Ledger
from sandbox.noise import KINDS
from sandbox.simulation import simulate
from sandbox.world import World

#: The default company and those of tests/acceptance/test_identity.py.
COMPANIES = ({"seed": 7}, *({"seed": seed, "size": 120, "months": 14} for seed in (11, 23, 31)))

#: What noise changes of a record, from its first day.
BLURRED = (
    *("email", "name", "first_name", "last_name", "company_name", "domain"),
    *("parent_id", "crm_account_id"),
)


@pytest.fixture(scope="module", params=COMPANIES, ids=lambda given: f"seed {given['seed']}")
def pair(request: pytest.FixtureRequest) -> tuple[World, World]:
    """A company without and with noise."""
    return simulate(**request.param, noise=False), simulate(**request.param)


def test_every_kind_of_noise_occurs(pair: tuple[World, World]) -> None:
    clean, noisy = pair
    assert clean.truth.noise == []
    assert {noise.kind for noise in noisy.truth.noise} == set(KINDS)


def test_hardly_anything_is_beyond_knowing(pair: tuple[World, World]) -> None:
    _, noisy = pair
    records = Ledger(noisy).identities
    assert len(records.unknowable) < 0.02 * len({*records.people, *records.accounts()})
    assert all(reason for reason in records.unknowable.values())


def test_the_truth_knows_every_record_and_every_address_once(pair: tuple[World, World]) -> None:
    _, noisy = pair
    crm, known = noisy.crm, Ledger(noisy).identities
    assert {c.id for c in crm.companies} == set(known.companies)
    assert {c.id for c in crm.contacts} == set(known.contacts)
    assert {c.id for c in noisy.billing.customers} == set(known.customers)
    assert {r.id for r in noisy.email.recipients} == set(known.recipients)
    ids = Counter(
        key for a in noisy.truth.accounts for key in (*a.company_ids, *a.contact_ids, *a.recipient_ids)
    )
    assert [key for key, count in ids.items() if count > 1] == []
    assert set(known.people) == {
        *(f"{kind}:{c.id}" for c in crm.contacts for kind in ("contact", "lead")),
        *(f"recipient:{r.id}" for r in noisy.email.recipients),
        *(f"customer:{c.id}" for c in noisy.billing.customers),
    }
    addresses = Counter(email for person in noisy.truth.people for email in person.emails)
    assert [email for email, count in addresses.items() if count > 1] == []
    seen = [(f"contact:{c.id}", c.email) for c in crm.contacts if c.email]
    seen += [(f"recipient:{r.id}", r.email) for r in noisy.email.recipients]
    seen += [(f"customer:{c.id}", c.email) for c in noisy.billing.customers if c.email]
    assert [record for record, email in seen if known.emails[email.lower()] != known.people[record]] == []
    noise = [record for record in known.noise if record.partition(":")[0] != "account"]
    assert set(noise) <= set(known.people)


def test_no_live_contact_has_anothers_address(pair: tuple[World, World]) -> None:
    """HubSpot has an address once, the e-mail tools once in a campaign."""
    for world in pair:
        live = Counter(c.email.lower() for c in world.crm.contacts if c.email and c.archived_at is None)
        assert [email for email, count in live.items() if count > 1] == []
        mailed = Counter((r.campaign_id, r.email.lower()) for r in world.email.recipients)
        assert [key for key, count in mailed.items() if count > 1] == []


def test_noise_leaves_alone_what_was_sold_and_paid(pair: tuple[World, World]) -> None:
    clean, noisy = pair

    def sold(world: World) -> list[Any]:
        deals = [(d.id, d.stage, d.amount, d.closed_at, d.company_id, d.history) for d in world.crm.deals]
        subscriptions = [(s.id, s.status, s.items, s.pauses, s.history) for s in world.billing.subscriptions]
        invoices = [(i.id, i.status, i.total, i.paid_at, i.lines) for i in world.billing.invoices]
        payments = [(p.id, p.invoice_id, p.amount, p.status) for p in world.billing.payments]
        return [deals, subscriptions, invoices, payments, world.finance]

    assert sold(clean) == sold(noisy)
    for field in ("company_ids", "customer_ids", "contact_ids", "recipient_ids"):
        more = sum(len(getattr(a, field)) for a in noisy.truth.accounts)
        less = sum(len(getattr(a, field)) for a in clean.truth.accounts)
        assert less < more < less * 1.1 + 5, field
    billing = noisy.billing
    payer = {s.id: s.customer_id for s in billing.subscriptions}
    paid = {i.id: i.customer_id for i in billing.invoices}
    assert all(payer[i.subscription_id] == i.customer_id for i in billing.invoices if i.subscription_id)
    assert all(payer[d.subscription_id] == d.customer_id for d in billing.discounts)
    assert all(paid[p.invoice_id] == p.customer_id for p in billing.payments)
    assert all(paid[c.invoice_id] == c.customer_id for c in billing.credit_notes)


def test_nothing_noisy_has_happened_yet(pair: tuple[World, World]) -> None:
    _, noisy = pair
    assert [(name, r) for name, r in records(noisy) if any(m >= noisy.now for m in moments(r))] == []
    keys = Counter((name, key_of(r)) for name, r in records(noisy))
    assert [key for key, count in keys.items() if count > 1] == []


@pytest.mark.parametrize("day", range(0, 330, 30))
def test_a_later_clock_shows_the_same_noise_and_more(day: int) -> None:
    """A record that is as it was has kept its noise; one that changed since says so."""
    clock = datetime(2024, 12, 2, 13, 5, tzinfo=UTC) + timedelta(days=day)
    early = simulate(11, 14, 60, now=clock)
    late = simulate(11, 14, 60, now=clock + timedelta(days=45))
    later = {(name, key_of(r)): r for name, r in records(late)}
    for name, record in records(early):
        now = later[name, key_of(record)]
        if record != now:
            touched = now.archived_at if name == "campaigns" else now.updated_at
            assert touched >= clock, (name, record, now)
            assert {f: getattr(now, f, None) for f in BLURRED} == {
                f: getattr(record, f, None) for f in BLURRED
            }
    new = set(later) - {(name, key_of(r)) for name, r in records(early)}
    assert all((born(later[key]) or clock) >= clock for key in new)
    noise = [(n.kind, n.record) for n in late.truth.noise]
    assert {(n.kind, n.record) for n in early.truth.noise} <= set(noise)
