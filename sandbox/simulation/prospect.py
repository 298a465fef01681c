"""From first touch to the first order: outreach, lead, qualification, deal."""

from __future__ import annotations

from decimal import Decimal

from sandbox.simulation.account import Account, Person
from sandbox.simulation.catalogue import ADD_ONS
from sandbox.simulation.deals import Quote, Selling
from sandbox.simulation.life import Life
from sandbox.simulation.outreach import Outreach
from sandbox.world import Campaign, Owner

#: Segment -> plans, seats, weights of month/quarter/year.
OFFERS = {
    "smb": (("starter", "growth"), (3, 14), (72, 8, 20)),
    "mid": (("growth", "scale"), (12, 45), (50, 15, 35)),
    "enterprise": (("scale", "enterprise"), (45, 120), (25, 15, 60)),
}


def draw_quote(account: Account, interval: str | None = None) -> Quote:
    """What a company of that size buys."""
    rng, profile = account.rng, account.profile
    plans, seats, weights = OFFERS[profile.segment]
    interval = interval or rng.choices(("month", "quarter", "year"), weights)[0]
    lines = [(rng.choice(plans), rng.randint(*seats))]
    if rng.random() < 0.18:
        lines.append((rng.choice(ADD_ONS), 1))
    find = account.scene.catalogue.yearly
    yearly = sum((find(p, q, profile.currency, interval) for p, q in lines), Decimal(0))
    return Quote(lines, interval, yearly)


class Prospect:
    """An account until it buys; `Life` goes on from there."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.outreach = Outreach(account, self.answered)
        self.life = Life(account, lambda: draw_quote(account))
        self.qualifying = False
        self.sdr: Owner | None = None
        self.ae: Owner | None = None
        self.campaign_id: str | None = None

    def begin(self) -> None:
        """The account appears: written to, or coming by itself."""
        account, rng = self.account, self.account.rng
        forced = account.profile.forced
        self.sdr = account.scene.staff.pick("sdr", account.profile.team, account.t, rng)
        self.ae = account.scene.staff.pick("ae", account.profile.team, account.t, rng)
        if account.profile.source == "outbound":
            tries = 1 if forced or rng.random() < 0.65 else 2
            self._sequence_all(rng.randint(0, 2) if tries == 1 else None)
            if tries == 2:
                account.line.after(70, 130, self._sequence_all, rng.randint(0, 3))
        elif forced or rng.random() < 0.7:
            self._lead(account.people[0])
        else:
            contact = account.ensure_contact(
                account.people[0], "subscriber", account.profile.source, self.sdr.id
            )
            self.outreach.newsletters()
            account.line.after(3, 60, self._lead, account.people[0])
            assert contact.lifecycle_stage == "subscriber"

    def _sequence_all(self, reply_step: int | None) -> None:
        assert self.sdr is not None
        for place, person in enumerate(self.account.people[:3]):
            if person.contact is None:
                self.outreach.sequence(self.sdr.email, person, reply_step if place == 0 else None)

    def answered(self, person: Person, campaign: Campaign) -> None:
        """Somebody replied: they are a lead within hours."""
        if campaign.kind == "outbound":
            self.campaign_id = campaign.id
        self._lead(person, campaign.id if campaign.kind == "outbound" else None)

    def _lead(self, person: Person, campaign_id: str | None = None) -> None:
        account, rng = self.account, self.account.rng
        assert self.sdr is not None
        source = "outbound" if campaign_id else account.profile.source
        if person.contact is not None and person.contact.archived_at is not None:
            return
        contact = account.ensure_contact(person, "lead", source, self.sdr.id, campaign_id)
        if contact.first_response_at is None and rng.random() < 0.9:
            hours = rng.choice((0.02, 0.08, 0.3, 1, 2.5))
            when = (
                account.line.workday(hours / 2, hours) if hours > 0.3 else account.line.soon(hours / 2, hours)
            )
            account.line.at(when, account.activity, rng.choice(("email", "call")), self.sdr.id, person)
        if self.qualifying:
            return
        self.qualifying = True
        self.outreach.newsletters()
        if rng.random() < 0.35 and len(account.people) > 1:
            self._colleague(account.people[-1])
        if account.profile.forced or rng.random() < 0.9:
            account.line.at(account.line.workday(0.5, 6), self._marketing_qualified, person)

    def _colleague(self, person: Person) -> None:
        account = self.account
        if person.contact is None:
            assert self.sdr is not None
            account.ensure_contact(person, "subscriber", account.profile.source, self.sdr.id)
            if account.rng.random() < 0.2:
                account.line.after(30, 200, self._leaves_job, person)

    def _leaves_job(self, person: Person) -> None:
        contact = person.contact
        if contact is not None and contact.lifecycle_stage == "subscriber":
            person.mailable = False
            self.account.put(contact, archived_at=self.account.t)

    def _marketing_qualified(self, person: Person) -> None:
        account = self.account
        assert person.contact is not None and self.sdr is not None
        account.advance(person.contact, "marketingqualifiedlead")
        account.activity("email", self.sdr.id, person, automated=True)
        if account.profile.forced or account.rng.random() < 0.86:
            account.line.at(account.line.workday(1, 9), self._sales_qualified, person)

    def _sales_qualified(self, person: Person) -> None:
        account = self.account
        assert person.contact is not None and self.sdr is not None
        account.advance(person.contact, "salesqualifiedlead")
        account.activity("call", self.sdr.id, person)
        account.line.at(account.line.workday(0.5, 5), self._open_deal, person)

    def _open_deal(self, person: Person) -> None:
        account, rng, profile = self.account, self.account.rng, self.account.profile
        assert person.contact is not None and account.company is not None and self.ae is not None
        account.put(person.contact, owner_id=self.ae.id)
        account.put(account.company, owner_id=self.ae.id)
        account.advance(person.contact, "opportunity")
        account.advance(account.company, "opportunity")
        account.activity("meeting", self.ae.id, person)
        for other in account.people[1:3]:
            if other.contact is None and rng.random() < 0.5:
                account.ensure_contact(other, "opportunity", profile.source, self.ae.id)
        interval = {"annual_switch": "month", "pause": "month", "intra_month": "month"}.get(
            profile.trait or "", "month" if profile.forced and profile.trait != "renewal" else None
        )
        if profile.trait in ("renewal", "quarterly"):
            interval = "year" if profile.trait == "renewal" else "quarter"
        quote = draw_quote(account, interval)
        days = {"smb": 6.0, "mid": 11.0, "enterprise": 19.0}[profile.segment]
        wants_trial = profile.trait in ("trial_won", "trial_lost")
        tries_first = wants_trial or (not profile.forced and profile.segment == "smb" and rng.random() < 0.15)
        selling = Selling(
            account,
            "new_business",
            quote,
            self.ae.id,
            self.life.won,
            stage_days=2.0 if profile.forced else days,
            loss=0.0 if profile.forced else 0.085,
            campaign_id=self.campaign_id,
            close_on=account.line.workday(16, 17) if tries_first else None,
            starts_at_stage=3 if tries_first else 0,
        )
        if tries_first:
            self.life.trial(selling, {"trial_won": True, "trial_lost": False}.get(profile.trait or ""))
