"""Records that are there twice: entered again, or deleted and made anew under another id."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime, timedelta

from sandbox.noise.desk import Desk, later, number_of
from sandbox.noise.spelling import alias, legal_name, loose_name, private, typo
from sandbox.simulation import names
from sandbox.world import Company, Contact

#: Names of companies nobody else has: what one was called before.
FORMER_NAMES = 40_000


def accounts(desk: Desk) -> None:
    """Somebody enters a company again, by heart: a slightly other name, no domain."""
    for account in desk.ordinary():
        if not account.company_ids:
            continue
        first = desk.companies[account.company_ids[0]]
        rng = desk.chance("account again", first.id)
        created = later(first.created_at, rng, 5, 60)
        if rng.random() >= 0.05 or first.parent_id or not desk.has_come(created):
            continue
        tax_id = first.tax_id if rng.random() < 0.5 else None
        way = rng.choices((legal_name, loose_name, None), (45, 45, 10))[0]
        unknowable, name = None, names.company_name(FORMER_NAMES + number_of(account) % 1000)
        if way is not None:
            name = way(account.name, first.country, rng)
        elif tax_id is None:
            unknowable = "entered under the name the company once had, with nothing else on it"
        owner = first.history["owner_id"][0][1]
        again = Company(
            id=f"{number_of(account)}9",
            name=name,
            domain=None,
            country=first.country,
            industry=first.industry,
            employee_count=None,
            annual_revenue=None,
            owner_id=owner,
            lifecycle_stage="lead",
            created_at=created,
            updated_at=created,
            tax_id=tax_id,
            history={"lifecycle_stage": [(created, "lead")], "owner_id": [(created, owner)]},
        )
        desk.world.crm.companies.append(again)
        desk.companies[again.id] = again
        account.company_ids.append(again.id)
        desk.mark("duplicate_account", f"account:{again.id}", unknowable)


def contacts(desk: Desk) -> None:
    """Somebody enters a person again, with another address or none."""
    for account in desk.ordinary():
        for key in list(account.contact_ids):
            rng, contact = desk.chance("contact again", key), desk.contacts[key]
            created = later(contact.created_at, rng, 3, 60)
            if rng.random() >= 0.04 or desk.is_noisy(f"contact:{key}") or not desk.has_come(created):
                continue
            first, last = contact.first_name, contact.last_name
            way = rng.choices(("alias", "private", "none", "nickname"), (40, 25, 28, 7))[0]
            email: str | None = None
            unknowable = None
            if way == "alias" and (contact.email or "").split("@")[1] not in names.FREE_MAIL:
                email = alias(first, last, contact.email or "", rng)
            elif way in ("alias", "private"):
                email = private(first, last, number_of(account), rng)
            elif way == "nickname":
                email = f"{rng.choice(('sunny', 'wolf', 'captain', 'pixel'))}{key[2:]}@gmail.com"
                first, last, unknowable = "-", "-", "a nickname at a free provider, and no name"
            elif rng.random() < 0.3:
                last = typo(last, rng)
            companies = [
                desk.companies[k] for k in account.company_ids if desk.companies[k].created_at < created
            ]
            company = companies[-1] if rng.random() < 0.6 else companies[0]
            stage = rng.choice(("lead", "subscriber"))
            owner = contact.history["owner_id"][0][1]
            again = Contact(
                id=f"{key[:-2]}{80 + int(key[-2:])}",
                company_id=company.id,
                email=email,
                first_name=first,
                last_name=last,
                job_title=contact.job_title if way != "nickname" else None,
                owner_id=owner,
                lifecycle_stage=stage,
                lead_source="event",
                email_opt_out=False,
                created_at=created,
                updated_at=created,
                history={"lifecycle_stage": [(created, stage)], "owner_id": [(created, owner)]},
            )
            desk.add_contact(again, key)
            desk.mark("duplicate_contact", f"contact:{again.id}", unknowable)


def made_anew(desk: Desk) -> None:
    """A contact is deleted within hours and made anew, which has all that happens from then on."""
    for account in desk.ordinary():
        for key in list(account.contact_ids):
            contact = desk.contacts.get(key)
            if contact is None:
                continue
            rng = desk.chance("made anew", key)
            deleted = later(contact.created_at, rng, 0.05, 1.2)
            created = deleted + timedelta(seconds=rng.randint(120, 3600))
            on_deal = any(key in d.contact_ids and d.created_at <= deleted for d in desk.world.crm.deals)
            if rng.random() >= 0.03 or on_deal or not desk.has_come(deleted):
                continue
            if desk.has_come(created):
                _anew(desk, contact, f"{key[:-2]}{90 + int(key[-2:])}", created)
            for name, steps in contact.history.items():
                contact.history[name] = [step for step in steps if step[0] <= deleted]
                setattr(contact, name, contact.history[name][-1][1])
            if contact.first_response_at and contact.first_response_at > deleted:
                contact.first_response_at = None
            contact.archived_at = contact.updated_at = deleted
            contact.email_opt_out = False
            desk.mark("made_anew", f"contact:{key}")


def _anew(desk: Desk, contact: Contact, key: str, created: datetime) -> None:
    """The new contact; what happens from then on is its."""
    again = deepcopy(contact)
    again.id, again.created_at = key, created
    again.updated_at = max(created, contact.updated_at)
    for name, steps in contact.history.items():
        known = [value for since, value in steps if since <= created]
        again.history[name] = [(created, known[-1]), *(step for step in steps if step[0] > created)]
    desk.add_contact(again, contact.id)
    desk.mark("made_anew", f"contact:{key}")
    for activity in desk.world.crm.activities:
        if activity.contact_id == contact.id and activity.occurred_at >= created:
            activity.contact_id = key
    for deal in desk.world.crm.deals:
        deal.contact_ids = [key if one == contact.id else one for one in deal.contact_ids]
