"""A customer's life: start, growth, trouble, leaving and coming back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from sandbox.simulation.account import Account
from sandbox.simulation.catalogue import ADD_ONS, PLANS
from sandbox.simulation.deals import Quote, Selling
from sandbox.simulation.invoicing import Invoicing
from sandbox.simulation.subscription import Coupon, Plan
from sandbox.world import Customer

#: Trait -> the discount it starts with.
COUPONS = {
    "percent_repeating": Coupon(20, None, 3),
    "percent_forever": Coupon(10, None, None),
    "amount_repeating": Coupon(None, 25, 6),
}


class Life:
    """Everything after the first order of one account."""

    def __init__(self, account: Account, requote: Callable[[], Quote]) -> None:
        self.account = account
        self.requote = requote
        self.invoicing: Invoicing | None = None
        self.came_back = 0

    # ------------------------------------------------------------ start

    def won(self, selling: Selling) -> None:
        """The first deal (or a win-back) is won: billing starts within days."""
        company = self.account.company
        assert company is not None
        if company.lifecycle_stage != "other":
            self.account.put(company, lifecycle_stage="customer")
        self.account.line.at(self.account.line.workday(0.05, 2.4), self._start, selling)

    def _customer(self) -> Invoicing:
        account = self.account
        if self.invoicing is None:
            self.invoicing = self.new_customer()
            account.customer = self.invoicing.customer
        return self.invoicing

    def new_customer(self, mailbox: str | None = None, link: str | None = None) -> Invoicing:
        """A billing customer, linked to the CRM the way the account's profile says."""
        account, company = self.account, self.account.company
        assert company is not None
        link = link or account.profile.link
        main = next(p for p in account.people if p.contact is not None and p.contact.archived_at is None)
        email = main.email if link != "domain" else f"billing@{account.domain}"
        customer = Customer(
            id=account.next_id("customer", 1, "cus_"),
            name=account.truth.name,
            email=f"{mailbox}@{account.domain}" if mailbox else email,
            country=account.profile.country,
            tax_id=company.tax_id,
            currency=account.profile.currency,
            created_at=account.t,
            updated_at=account.t,
            crm_account_id=company.id if link in ("both", "billing") else None,
        )
        account.world.billing.customers.append(customer)
        account.truth.customer_ids.append(customer.id)
        if link in ("both", "crm") and mailbox is None:
            account.put(company, billing_customer_id=customer.id)
        return Invoicing(account, customer)

    def _start(self, selling: Selling) -> None:
        account, rng, trait = self.account, self.account.rng, self.account.profile.trait
        coupon = COUPONS.get(trait or "") if not self.came_back else None
        if coupon is None and not account.profile.forced and rng.random() < 0.3:
            coupon = rng.choice(
                (Coupon(10, None, None), Coupon(15, None, None), Coupon(25, None, 3), Coupon(None, 30, 6))
            )
        if coupon and coupon.months and selling.quote.interval == "year":
            coupon = Coupon(coupon.percent, coupon.amount, 12)
        invoicing = self._customer()
        large = account.profile.segment != "smb"
        fee = rng.random() < (0.5 if large else 0.12)
        apart = fee and rng.random() < 0.5
        plan = self._subscribe(invoicing, selling, coupon, fee and not apart)
        if apart:
            invoicing.onboarding()
        self.plan_ahead(plan)

    def _subscribe(
        self, invoicing: Invoicing, selling: Selling, coupon: Coupon | None = None, fee: bool = False
    ) -> Plan:
        plan = Plan(
            self.account,
            invoicing,
            selling.quote.lines,
            selling.quote.interval,
            coupon=coupon,
            with_onboarding=fee,
            on_end=self._ended,
            on_period=self._renewal,
        )
        self.account.put(selling.deal, billing_subscription_id=plan.record.id)
        self._is_customer()
        return plan

    def _is_customer(self) -> None:
        account = self.account
        if account.company and account.company.lifecycle_stage != "customer":
            account.put(account.company, lifecycle_stage="customer")
        for person in account.people:
            contact = person.contact
            if (
                contact
                and contact.archived_at is None
                and contact.lifecycle_stage in ("opportunity", "other")
            ):
                account.put(contact, lifecycle_stage="customer")

    def trial(self, selling: Selling, converts: bool | None) -> None:
        """A trial runs while the deal is open; at its end the deal is won or lost."""
        account = self.account
        plan = Plan(
            account,
            self._customer(),
            selling.quote.lines,
            selling.quote.interval,
            trial_days=14,
            on_end=self._ended,
            on_period=self._renewal,
        )
        account.put(selling.deal, billing_subscription_id=plan.record.id)

        def decide() -> None:
            if account.rng.random() < 0.6 if converts is None else converts:
                selling.win()
                self.plan_ahead(plan)
            else:
                plan.cancel_at_period_end()
                selling.lose("no_decision")

        def won(_: Selling) -> None:
            self._is_customer()

        selling.on_won = won
        account.line.after(12.2, 13.8, decide)

    # ------------------------------------------------------------ what lies ahead

    def plan_ahead(self, plan: Plan) -> None:
        """Draw when this subscription will grow, shrink, stop."""
        account, rng, trait = self.account, self.account.rng, self.account.profile.trait
        line = account.line
        if account.profile.forced and not self.came_back:
            self._live_out(plan, trait or "")
            return
        line.at(line.workday(*around(rng.expovariate(1 / 200) + 20)), self._grow, plan)
        line.at(line.workday(*around(rng.expovariate(1 / 650) + 40)), self._shrink, plan)
        line.at(line.workday(*around(rng.expovariate(1 / 1000) + 20)), self._leave, plan)
        if rng.random() < 0.12:
            line.after(40, 300, self._pause, plan)
        if rng.random() < 0.1:
            line.at(line.workday(60, 300), self._second_plan, None)
        if rng.random() < 0.03 and plan.interval == "month":
            line.after(3, 12, self._regret, plan)

    def _live_out(self, plan: Plan, trait: str) -> None:
        """The fixed story of a forced trait, so that every world has one of it."""
        line = self.account.line
        plan.never_fails = trait not in ("late", "recovered", "lost")
        if trait == "late":
            plan.fails_next = "recovered_late"
        elif trait in ("recovered", "lost"):
            plan.fails_next = trait
        elif trait == "pause":
            line.after(15, 25, self._pause, plan)
        elif trait == "reactivation":
            line.at(line.workday(50, 60), self._leave, plan)
        elif trait == "intra_month":
            line.after(31, 45, self._short_plan)
        elif trait in ("seats", "plan", "annual_switch", "add_on"):
            kind = "annual" if trait == "annual_switch" else trait
            line.at(line.workday(40, 60), self._change, plan, kind)
        elif trait == "contraction":
            line.at(line.workday(40, 60), self._shrink, plan)
        elif trait == "several":
            line.at(line.workday(40, 60), self._second_plan, None)
        elif trait == "second_customer":
            line.at(line.workday(40, 60), self._second_plan, "ap")
        elif trait == "mistake":
            line.after(20, 30, self._mistake, 3)
        elif trait == "mistake_late":
            line.at(self.account.world.start + timedelta(days=715), self._mistake, 25)
        elif trait == "refund":
            line.after(5, 9, self._refund_first)
        if trait != "reactivation":
            line.at(line.workday(380, 700), self._grow, plan)

    def _refund_first(self) -> None:
        assert self.invoicing is not None
        mine = self.invoicing.customer.id
        paid = [
            p
            for p in self.account.world.billing.payments
            if p.customer_id == mine and p.status == "succeeded"
        ]
        if paid:
            self.invoicing.refund(paid[0], Decimal("0.5"))

    def _mistake(self, days: int) -> None:
        """A customer entered twice by mistake, deleted some days later."""
        wrong = self.new_customer("office", "email").customer

        def delete() -> None:
            self.account.put(wrong, deleted_at=self.account.t)

        self.account.line.after(days, days + 1, delete)

    # ------------------------------------------------------------ growth

    def _grow(self, plan: Plan) -> None:
        account, rng = self.account, self.account.rng
        if plan.record.ended_at is not None:
            return
        account.line.at(account.line.workday(*around(rng.expovariate(1 / 260) + 25)), self._grow, plan)
        kind = rng.choices(("seats", "plan", "add_on", "annual"), (60, 15, 13, 12))[0]
        if rng.random() < 0.45:
            account.line.at(account.line.workday(0.1, 3), self._change, plan, kind)
            return
        owner = account.scene.staff.pick("csm", "Customer Success", account.t, rng)
        worth = plan.yearly()
        quote = Quote([(plan.product(plan.present()[0]), 1)], plan.interval, max(worth // 5, Decimal(120)))

        def won(_: Selling) -> None:
            account.line.at(account.line.workday(0.05, 2), self._change, plan, kind)

        Selling(account, "expansion", quote, owner.id, won, stage_days=6, loss=0.1, starts_at_stage=2)

    def _change(self, plan: Plan, kind: str) -> None:
        if plan.record.ended_at is not None or plan.record.cancel_at_period_end:
            return
        if not plan.can_change:
            self.account.line.at(self.account.line.workday(2, 6), self._change, plan, kind)
            return
        rng, base = self.account.rng, plan.present()[0]
        more = base.quantity + max(2, base.quantity * rng.randint(15, 45) // 100)
        product = plan.product(base)
        if kind == "plan" and product != PLANS[-1]:
            plan.change({}, {base.item_id: PLANS[PLANS.index(product) + 1]})
        elif kind == "add_on" and (missing := self._missing_add_ons(plan)):
            plan.change({}, add=[(rng.choice(missing), 1)])
        elif kind == "annual" and plan.interval != "year" and not plan.discounted:
            plan.change({base.item_id: more}, interval="year")
        else:
            plan.change({base.item_id: more})

    def _missing_add_ons(self, plan: Plan) -> list[str]:
        held = {plan.product(item) for item in plan.present()}
        return [add_on for add_on in ADD_ONS if add_on not in held]

    def _second_plan(self, mailbox: str | None) -> None:
        account, rng = self.account, self.account.rng
        if not account.live():
            return
        owner = account.scene.staff.pick("csm", "Customer Success", account.t, rng)
        quote = self.requote()

        def start(selling: Selling) -> None:
            invoicing = self.new_customer(mailbox, "both") if mailbox else self._customer()
            plan = self._subscribe(invoicing, selling)
            if not account.profile.forced:
                account.line.at(
                    account.line.workday(*around(rng.expovariate(1 / 400) + 20)), self._leave, plan
                )

        def won(selling: Selling) -> None:
            account.line.at(account.line.workday(0.05, 2), start, selling)

        loss = 0.0 if account.profile.forced else 0.1
        Selling(account, "expansion", quote, owner.id, won, stage_days=6, loss=loss, starts_at_stage=1)

    # ------------------------------------------------------------ shrinking and leaving

    def _shrink(self, plan: Plan) -> None:
        account, rng = self.account, self.account.rng
        if plan.record.ended_at is not None or plan.record.cancel_at_period_end:
            return
        if not plan.can_change:
            account.line.at(account.line.workday(2, 6), self._shrink, plan)
            return
        base, *extras = plan.present()
        product = plan.product(base)
        if extras and rng.random() < 0.5:
            plan.change({extras[0].item_id: 0})
        elif base.quantity > 2:
            plan.change({base.item_id: max(1, base.quantity * rng.randint(60, 90) // 100)})
        elif product != PLANS[0]:
            plan.change({}, {base.item_id: PLANS[PLANS.index(product) - 1]})
        account.line.at(account.line.workday(*around(rng.expovariate(1 / 650) + 60)), self._shrink, plan)

    def _leave(self, plan: Plan) -> None:
        record, line = plan.record, self.account.line
        if record.ended_at is not None or record.cancel_at_period_end:
            return
        decided = plan.interval == "year" and record.current_period_end - self.account.t < timedelta(days=20)
        if not plan.can_change or decided:
            line.at(line.workday(3, 25), self._leave, plan)
            return
        plan.cancel_at_period_end()

    def _pause(self, plan: Plan) -> None:
        if plan.interval == "month" and plan.can_change:
            plan.pause_periods = self.account.rng.randint(1, 3)

    def _regret(self, plan: Plan) -> None:
        if plan.can_change:
            plan.cancel_now()

    def _short_plan(self) -> None:
        """A second subscription that starts and ends inside one month."""
        account = self.account
        if account.t.day > 15:
            account.line.after(16, 18, self._short_plan)
            return
        plan = Plan(account, self._customer(), [("starter", 1)], "month", on_end=self._ended)
        account.line.after(5, 12, self._regret, plan)

    def _ended(self, plan: Plan) -> None:
        """Once nothing is left, the CRM says former customer within days; some come back."""
        account, rng = self.account, self.account.rng
        if account.live():
            return
        account.line.after(0.3, 2.5, self._lapse)
        voluntary = plan.record.cancellation_reason == "cancellation_requested"
        forced = account.profile.trait == "reactivation" and not self.came_back
        paid = account.company is not None and account.company.lifecycle_stage == "customer"
        if forced or (voluntary and paid and rng.random() < 0.28):
            account.line.at(account.line.workday(40, 160), self._win_back)

    def _lapse(self) -> None:
        account = self.account
        if account.live() or account.company is None or account.company.lifecycle_stage != "customer":
            return
        account.put(account.company, lifecycle_stage="other")
        for person in account.people:
            if person.contact and person.contact.lifecycle_stage == "customer":
                account.put(person.contact, lifecycle_stage="other")

    def _win_back(self) -> None:
        account, rng = self.account, self.account.rng
        if account.live():
            return
        self.came_back += 1
        owner = account.scene.staff.pick("ae", account.profile.team, account.t, rng)
        loss = 0.0 if account.profile.forced else 0.06
        Selling(account, "new_business", self.requote(), owner.id, self.won, stage_days=4, loss=loss)

    # ------------------------------------------------------------ renewals

    def _renewal(self, plan: Plan) -> None:
        """A yearly period has begun: its renewal opens two to three months before the end."""
        if plan.interval == "year":
            end = plan.record.current_period_end
            opens = end - timedelta(days=self.account.rng.randint(60, 90))
            self.account.line.at(opens, self._open_renewal, plan, end)

    def _open_renewal(self, plan: Plan, end: datetime) -> None:
        account, rng = self.account, self.account.rng
        if plan.record.ended_at is not None or plan.record.current_period_end != end:
            return
        owner = account.scene.staff.pick("csm", "Customer Success", account.t, rng)
        quote = Quote([(plan.product(plan.present()[0]), 1)], plan.interval, plan.yearly())
        close_on = end - timedelta(days=rng.randint(3, 15), hours=rng.randint(1, 6))
        selling = Selling(
            account, "renewal", quote, owner.id, lambda _: None, stage_days=20, loss=0, close_on=close_on
        )
        account.put(selling.deal, billing_subscription_id=plan.record.id)

        def close() -> None:
            record = plan.record
            stays = record.ended_at is None and not record.cancel_at_period_end
            if stays and record.current_period_end == end:
                selling.quote.yearly = plan.yearly()
                selling.win()
            else:
                selling.lose()

        account.line.after(15, 35, self._quote_renewal, selling)
        account.line.at(close_on, close)

    def _quote_renewal(self, selling: Selling) -> None:
        if selling.is_open:
            self.account.put(selling.deal, stage="renewal_quote", forecast_category="commit")


def around(days: float) -> tuple[float, float]:
    """A day's span that begins after so many days."""
    return days, days + 1
