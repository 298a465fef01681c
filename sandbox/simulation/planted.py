"""Silo gaps made on purpose. Plans are small: none is worth holding back publication for."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from sandbox.simulation.account import Account, Person, Profile, Scene, make_account
from sandbox.simulation.deals import Quote, Selling
from sandbox.simulation.invoicing import Invoicing
from sandbox.simulation.outreach import Outreach
from sandbox.simulation.subscription import Plan
from sandbox.truth import PlantedGap
from sandbox.world import Campaign, Company, Customer

#: Numbers of planted accounts start here, so that their ids never meet others'.
FIRST_NUMBER = 1_000_000


class Planted:
    """The stories that leave a gap behind."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def _gap(self, kind: str, left: str, right: str | None = None) -> None:
        self.account.world.truth.gaps.append(PlantedGap(kind, left, right, self.account.t))

    def _lead(self, source: str = "inbound") -> str:
        account = self.account
        rep = account.scene.staff.pick("ae", account.profile.team, account.t, account.rng)
        contact = account.ensure_contact(account.people[0], "lead", source, rep.id)
        account.activity("call", rep.id, account.people[0])
        assert contact.company_id is not None
        return rep.id

    def _sell(self, rep: str, then: Callable[[Selling], None], plan: str = "starter", seats: int = 1) -> None:
        account = self.account
        assert account.company is not None and account.people[0].contact is not None
        account.advance(account.company, "opportunity")
        account.advance(account.people[0].contact, "opportunity")
        worth = account.scene.catalogue.yearly(plan, seats, "USD", "month")
        quote = Quote([(plan, seats)], "month", worth)
        Selling(account, "new_business", quote, rep, then, stage_days=2, loss=0)

    def _mark_customer(self) -> None:
        account = self.account
        assert account.company is not None and account.people[0].contact is not None
        account.put(account.company, lifecycle_stage="customer")
        account.put(account.people[0].contact, lifecycle_stage="customer")

    def won_without_billing(self) -> None:
        """Sales wins a deal that nobody ever bills."""

        def won(selling: Selling) -> None:
            self._mark_customer()
            self._gap("won_without_billing", selling.deal.id)

        self._sell(self._lead(), won)

    def paying_without_crm(self) -> None:
        """Somebody signs up and pays; the CRM never hears of it."""
        invoicing = self._bill(f"billing@{self.account.domain}", None)
        Plan(self.account, invoicing, [("starter", 1)], "month").never_fails = True
        self._gap("paying_without_crm", invoicing.customer.id)

    def _bill(self, email: str, company_id: str | None) -> Invoicing:
        account = self.account
        customer = Customer(
            *(account.next_id("customer", 1, "cus_"), account.truth.name, email, "US", None, "USD"),
            created_at=account.t,
            updated_at=account.t,
            crm_account_id=company_id,
        )
        account.world.billing.customers.append(customer)
        account.truth.customer_ids.append(customer.id)
        return Invoicing(account, customer)

    def churned_but_customer(self) -> None:
        """A customer leaves; the CRM keeps calling them one."""
        account = self.account

        def ended(plan: Plan) -> None:
            assert account.company is not None
            self._gap("churned_but_customer", plan.record.customer_id, account.company.id)

        def start(selling: Selling) -> None:
            assert account.company is not None
            invoicing = self._bill(account.people[0].email, account.company.id)
            plan = Plan(account, invoicing, selling.quote.lines, "month", on_end=ended)
            plan.never_fails = True
            account.put(selling.deal, billing_subscription_id=plan.record.id)
            account.line.after(35, 50, plan.cancel_at_period_end)

        def won(selling: Selling) -> None:
            self._mark_customer()
            account.line.after(0.2, 2, start, selling)

        self._sell(self._lead(), won, "growth", 2)

    def duplicate_accounts(self) -> None:
        """A second rep enters the same company again."""
        rep = self._lead("event")
        self.account.line.after(4, 20, self._enter_again, rep)

    def _enter_again(self, rep: str) -> None:
        account, first = self.account, self.account.company
        assert first is not None
        again = Company(
            id=account.next_id("company", 1),
            name=f"{first.name} Inc.",
            domain=first.domain,
            country=first.country,
            industry=first.industry,
            employee_count=None,
            annual_revenue=None,
            owner_id=rep,
            lifecycle_stage="lead",
            created_at=account.t,
            updated_at=account.t,
            history={"lifecycle_stage": [(account.t, "lead")], "owner_id": [(account.t, rep)]},
        )
        account.world.crm.companies.append(again)
        account.truth.company_ids.append(again.id)
        self._gap("duplicate_accounts", first.id, again.id)

    def reply_without_lead(self) -> None:
        """A prospect answers a sequence; nobody makes them a lead."""
        account = self.account
        rep = account.scene.staff.pick("sdr", account.profile.team, account.t, account.rng)
        recipients = account.world.email.recipients

        def answered(person: Person, campaign: Campaign) -> None:
            mine = (
                r.id for r in recipients if r.email.lower() == person.email and r.campaign_id == campaign.id
            )
            self._gap("reply_without_lead", next(mine))

        Outreach(account, answered, 0.0).sequence(rep.email, account.people[0], 1)


#: Gap type -> how many, and when (share of the window in which stories may begin).
PLAN = {
    "won_without_billing": (2, (0.3, 0.8)),
    "paying_without_crm": (2, (0.2, 0.9)),
    "churned_but_customer": (3, (0.1, 0.35)),
    "duplicate_accounts": (3, (0.2, 0.9)),
    "reply_without_lead": (3, (0.2, 0.9)),
}


def plant(scene: Scene, seed: int, end: datetime) -> list[tuple[datetime, Account, Callable[[], None]]]:
    """The accounts with a gap: when each begins and with what."""
    found: list[tuple[datetime, Account, Callable[[], None]]] = []
    world, number = scene.world, FIRST_NUMBER
    span = max(end - timedelta(days=55) - world.start, timedelta(days=3))
    for kind, (count, (low, high)) in PLAN.items():
        for _ in range(count):
            number += 1
            key = f"planted-{number}"
            rng = random.Random(f"{seed}:{key}:begin")
            begin = world.start + timedelta(
                days=2, seconds=int(span.total_seconds() * rng.uniform(low, high))
            )
            if begin >= world.now:
                continue
            profile = Profile("smb", "Americas", "USD", "US", "inbound", "both", "planted", forced=True)
            account = make_account(scene, seed, number, key, profile)
            account.people[0].email = account.people[0].email.split("@")[0] + "@" + account.domain
            found.append((begin, account, getattr(Planted(account), kind)))
    return found
