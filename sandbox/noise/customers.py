"""Noise about billing customers: who pays, from which address, under which id."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from sandbox.noise.desk import Desk, number_of
from sandbox.noise.spelling import private
from sandbox.truth import TrueAccount, TruePerson
from sandbox.world import Customer, Subscription

ACCOUNTANTS = ("invoices@lane-ledger.example", "clients@taxwright.example", "office@kontor-nord.example")


def missing_ids(desk: Desk) -> None:
    """Whoever entered the customer left the CRM's id out; sales has not always entered billing's either."""
    for account in desk.ordinary():
        if any(desk.is_noisy(f"account:{key}") for key in account.company_ids):
            continue
        for key in account.customer_ids:
            rng, customer = desk.chance("missing id", key), desk.customers[key]
            if customer.crm_account_id is None or desk.is_noisy(f"customer:{key}") or rng.random() >= 0.12:
                continue
            company = desk.companies[customer.crm_account_id]
            customer.crm_account_id = None
            if rng.random() < 0.5 and company.billing_customer_id == key:
                company.billing_customer_id = None
            desk.mark("missing_crm_account_id", f"customer:{key}")


def payers(desk: Desk) -> None:
    """Some invoices go to somebody's address at home, some to an accountant who has several clients."""
    for account in desk.ordinary():
        for key in account.customer_ids:
            rng, customer = desk.chance("payer", key), desk.customers[key]
            person = desk.person_of[f"customer:{key}"]
            kind = rng.choices(("private", "accountant", None), (4, 4, 92))[0]
            if kind is None or desk.is_noisy(f"customer:{key}") or _is_mistake(customer):
                continue
            if kind == "private" and person.contact_ids:
                contact = desk.contacts[person.contact_ids[0]]
                customer.email = private(contact.first_name, contact.last_name, number_of(account), rng)
                person.emails.add(customer.email)
                desk.mark("paid_from_private_address", f"customer:{key}")
            elif kind == "accountant":
                person.customer_ids.remove(key)
                customer.email = rng.choice(ACCOUNTANTS)
                desk.person_of[f"customer:{key}"] = _accountant(desk, customer.email)
                desk.person_of[f"customer:{key}"].customer_ids.append(key)
                desk.mark("paid_by_accountant", f"customer:{key}")


def _is_mistake(customer: Customer) -> bool:
    """Entered twice, to be deleted: not to be made harder."""
    return (customer.email or "").startswith("office@")


def _accountant(desk: Desk, email: str) -> TruePerson:
    known = next((person for person in desk.truth.people if person.key == email), None)
    if known is None:
        known = TruePerson(email, emails={email})
        desk.truth.people.append(known)
    return known


def returns(desk: Desk) -> None:
    """A customer who left and came back is often a new one in billing; sales seldom enters the new id."""
    for account in desk.ordinary():
        came = _came_back(desk, account)
        if came is None or desk.chance("return", came.id).random() >= 0.75:
            continue
        rng, old = desk.chance("new customer", came.id), desk.customers[came.customer_id]
        new = Customer(
            id=f"cus_{number_of(account)}9",
            name=old.name,
            email=old.email,
            country=old.country,
            tax_id=old.tax_id,
            currency=old.currency,
            created_at=came.created_at,
            updated_at=max(old.updated_at, came.created_at),
            crm_account_id=account.company_ids[0] if rng.random() < 0.4 else None,
            delinquent=old.delinquent,
        )
        old.delinquent, old.updated_at = False, came.created_at
        _take_over(desk, old.id, new.id, came.created_at)
        desk.world.billing.customers.append(new)
        desk.customers[new.id] = new
        account.customer_ids.append(new.id)
        person = desk.person_of[f"customer:{old.id}"]
        person.customer_ids.append(new.id)
        desk.person_of[f"customer:{new.id}"], desk.account_of[f"customer:{new.id}"] = person, account
        desk.mark("came_back", f"customer:{new.id}")


def _came_back(desk: Desk, account: TrueAccount) -> Subscription | None:
    """The first subscription that began when all before it had ended, of the same customer."""
    mine = [s for s in desk.world.billing.subscriptions if s.customer_id in account.customer_ids]
    mine.sort(key=lambda s: (s.created_at, s.id))
    ended: datetime | None = None
    for before, after in pairwise(mine):
        if before.ended_at is None or before.customer_id != after.customer_id:
            return None
        ended = max(ended or before.ended_at, before.ended_at)
        if ended < after.created_at:
            return after
    return None


def _take_over(desk: Desk, old: str, new: str, since: datetime) -> None:
    """What was sold from an instant on is the new customer's."""
    billing = desk.world.billing
    moved = {s.id for s in billing.subscriptions if s.customer_id == old and s.created_at >= since}
    invoices = {
        i.id
        for i in billing.invoices
        if i.customer_id == old
        and (i.subscription_id in moved or (not i.subscription_id and i.created_at >= since))
    }
    for records, field, keys in (
        (billing.subscriptions, "id", moved),
        (billing.discounts, "subscription_id", moved),
        (billing.invoices, "id", invoices),
        (billing.payments, "invoice_id", invoices),
        (billing.credit_notes, "invoice_id", invoices),
    ):
        for record in records:
            if getattr(record, field) in keys:
                record.customer_id = new
