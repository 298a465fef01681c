"""The sandbox company's life: `simulate` makes its world up to an instant."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

from sandbox.noise import make_noise
from sandbox.simulation.account import Scene, draw_profile, make_account
from sandbox.simulation.catalogue import Catalogue
from sandbox.simulation.finance import fill_finance
from sandbox.simulation.outreach import Outreach
from sandbox.simulation.people import true_people
from sandbox.simulation.planted import plant
from sandbox.simulation.prospect import Prospect
from sandbox.simulation.staff import Staff, stages
from sandbox.simulation.timeline import add_months
from sandbox.world import World

__all__ = ["TRAITS", "simulate"]

START = datetime(2024, 11, 1, tzinfo=UTC)
#: Stories every world tells at least once, whatever its seed.
TRAITS = (
    "seats",
    "plan",
    "annual_switch",
    "add_on",
    "contraction",
    "pause",
    "reactivation",
    "intra_month",
    "late",
    "recovered",
    "lost",
    "trial_won",
    "trial_lost",
    "percent_repeating",
    "percent_forever",
    "amount_repeating",
    "several",
    "second_customer",
    "mistake",
    "mistake_late",
    "refund",
    "renewal",
    "quarterly",
)
ACCOUNT_NUMBERS, COLD_NUMBERS = 2_000_000, 3_000_000
#: Companies that are written to and never answer, for each one that does.
COLD_SHARE = 2.2


def simulate(
    seed: int = 7,
    months: int = 24,
    size: int = 300,
    start: datetime = START,
    now: datetime | None = None,
    noise: bool = True,
) -> World:
    """The world of a company of about `size` accounts after `months`, or as it is at `now`.

    The same arguments give the same world; a later `now` only adds to it. Without `noise` every record says
    plainly whose it is; nothing else differs.
    """
    end = add_months(start, months)
    world = World(seed=seed, size=size, start=start, now=now or end, currency="USD")
    staff = Staff(seed, start, world.now)
    scene = Scene(world, staff, Catalogue(start - timedelta(days=1)))
    world.crm.owners, world.crm.stages = staff.owners, stages()
    world.email.team, world.email.campaigns = staff.team, staff.campaigns
    world.billing.products = scene.catalogue.products
    world.billing.prices = list(scene.catalogue.prices.values())

    for begin, planted, story in plant(scene, seed, end):
        _live(begin, planted, story)
    early = max(size // 5, min(size, len(TRAITS)))
    for place, begin in _arrivals(seed, "account", start, end, world.now, size, early):
        rng = random.Random(f"{seed}:account-{place}")
        profile = draw_profile(rng)
        if place < len(TRAITS):
            profile.trait, profile.forced, profile.segment = TRAITS[place], True, "mid"
            profile.link, profile.has_domain = "both", True
        account = make_account(scene, seed, ACCOUNT_NUMBERS + place, f"account-{place}", profile)
        _live(begin, account, Prospect(account).begin)
    for place, begin in _arrivals(seed, "cold", start, end, world.now, int(size * COLD_SHARE), size // 2):
        account = make_account(scene, seed, COLD_NUMBERS + place, f"cold-{place}")
        _live(begin, account, _Cold(account).begin)

    world.truth.people = true_people(world)
    if noise:
        make_noise(world)
    sort(world)
    fill_finance(world)
    return world


class _Cold:
    """A company that is written to, again and again, and never answers."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.outreach = Outreach(account, lambda *_: None, 0.0)

    def begin(self) -> None:
        """One sequence; more half a year later."""
        account = self.account
        rep = account.scene.staff.pick("sdr", account.profile.team, account.t, account.rng)
        for person in account.people[:3]:
            self.outreach.sequence(rep.email, person)
        account.line.after(120, 260, self.begin)


def _live(begin: datetime, account: Any, story: Callable[[], None]) -> None:
    account.line.at(begin, story)
    account.line.run()


def _arrivals(
    seed: int, kind: str, start: datetime, end: datetime, now: datetime, size: int, early: int
) -> Iterator[tuple[int, datetime]]:
    """When accounts appear: some in the first weeks, then at an even rate for ever."""
    rest = (end - start - timedelta(days=2)) / max(size - early, 1)
    place = 0
    while True:
        rng = random.Random(f"{seed}:{kind}:{place}:begin")
        if place < early:
            first = 1.1 + (0 if kind == "cold" or place >= len(TRAITS) else 1) + rng.uniform(0, 40)
            begin = start + timedelta(seconds=int(first * 86400))
        else:
            begin = start + timedelta(days=2) + rest * (place - early)
            if begin >= now:
                return
            begin = (begin + rest * rng.random()).replace(microsecond=0)
        if begin < now:
            yield place, begin
        place += 1


def sort(world: World) -> None:
    """Creation order everywhere."""
    crm, email, billing = world.crm, world.email, world.billing
    by: list[tuple[str, list[list[Any]]]] = [
        ("created_at", [crm.companies, crm.contacts, crm.deals, crm.activities, email.leads]),
        ("created_at", [billing.customers, billing.subscriptions, billing.invoices]),
        ("added_at", [email.recipients]),
        ("occurred_at", [email.events]),
        ("starts_at", [billing.discounts]),
        ("attempted_at", [billing.payments]),
        ("refunded_at", [billing.refunds]),
        ("issued_at", [billing.credit_notes]),
        ("planted_at", [world.truth.gaps]),
    ]
    for field, lists in by:
        key = attrgetter(field, "key_left" if field == "planted_at" else "id")
        for records in lists:
            records.sort(key=key)
