"""Noise about companies: who belongs to whom, what they are called, and at whose domain their people are."""

from __future__ import annotations

from sandbox.noise.desk import Desk, first_seen, number_of
from sandbox.noise.spelling import legal_name, loose_name
from sandbox.simulation.names import FREE_MAIL
from sandbox.truth import TrueAccount

#: What subsidiaries are called by.
REGIONS = ("Europe", "International", "Services", "Capital", "Nordics", "Iberia", "Pacific")
#: Domains of nobody's: an agency that works for many, a university, a business park.
SHARED = ("brandhive.example", "northfield-university.example", "harbourpark.example")


def subsidiaries(desk: Desk) -> None:
    """Some companies belong to one that the CRM knew before; half of them use its domain.

    Each keeps its own account in the CRM and its own billing customer. One that shares the domain says in
    billing which account it is, as nothing else could tell the two apart.
    """
    owned: set[str] = set()
    born = [(begin, a.key, a) for a in desk.ordinary() if (begin := first_seen(desk, a)) is not None]
    for begin, _, account in sorted(born, key=lambda one: one[:2]):
        rng = desk.chance("subsidiary", account.key)
        if account.key in owned or rng.random() >= 0.06:
            continue
        parents = [
            parent
            for parent in desk.ordinary()
            if parent.key not in owned
            and parent.company_ids
            and desk.companies[parent.company_ids[0]].created_at < begin
            and desk.companies[parent.company_ids[0]].domain
        ]
        if not parents:
            continue
        parent = rng.choice(parents)
        owned |= {account.key, parent.key}
        _belongs(desk, account, parent, rng.choice((True, False)))


def _belongs(desk: Desk, account: TrueAccount, parent: TrueAccount, shares: bool) -> None:
    rng = desk.chance("subsidiary name", account.key)
    head = desk.companies[parent.company_ids[0]]
    old, region = account.name, rng.choice(REGIONS)
    account.name = f"{parent.name} {region}"
    kind = "subsidiary_at_parents_domain" if shares else "subsidiary"
    for key in account.company_ids:
        company = desk.companies[key]
        company.name, company.parent_id = account.name, head.id
        company.domain = head.domain if shares else company.domain
        desk.mark(kind, f"account:{key}")
    for key in account.customer_ids:
        customer = desk.customers[key]
        customer.name = account.name
        if shares:
            customer.crm_account_id = account.company_ids[0]
        desk.mark(kind, f"customer:{key}")
    for deal in desk.world.crm.deals:
        if deal.company_id in account.company_ids:
            deal.name = deal.name.replace(old, account.name)
    for key in account.recipient_ids:
        desk.recipients[key].company_name = account.name
    if shares:
        assert head.domain is not None
        _move_people(desk, account, head.domain, f".{region.lower()}", kind)


def _move_people(desk: Desk, account: TrueAccount, domain: str, suffix: str, kind: str) -> None:
    """Let everybody at the company's own domain have an address at another."""
    ids = {
        "contact": account.contact_ids,
        "recipient": account.recipient_ids,
        "customer": account.customer_ids,
    }
    people = {id(p): p for k, keys in ids.items() for key in keys for p in [desk.person_of[f"{k}:{key}"]]}
    for person in people.values():
        local, old = person.key.split("@")
        if old in FREE_MAIL:
            continue
        email = f"{local}{suffix}@{domain}"
        person.emails = {email}
        for key in person.contact_ids:
            desk.contacts[key].email = email
            desk.mark(kind, f"contact:{key}")
        for key in person.recipient_ids:
            desk.readdress(desk.recipients[key], email)
            desk.mark(kind, f"recipient:{key}")
        for key in person.customer_ids:
            desk.customers[key].email = email


def shared_domains(desk: Desk) -> None:
    """Some people have their address at an agency or a university, as people of others have."""
    for account in desk.ordinary():
        for key in account.contact_ids:
            rng, person = desk.chance("shared domain", key), desk.person_of[f"contact:{key}"]
            if (
                rng.random() >= 0.04
                or desk.is_noisy(f"contact:{key}")
                or person.key.split("@")[1] in FREE_MAIL
            ):
                continue
            name = person.key.split("@")[0]
            email = f"{name}.{number_of(account) % 1000}@{rng.choice(SHARED)}"
            # An address that was written to before the CRM knew anybody is as it was.
            since = desk.contacts[key].created_at
            person.emails.add(email)
            desk.contacts[key].email = email
            desk.mark("shared_domain", f"contact:{key}")
            for other in person.recipient_ids:
                if desk.recipients[other].added_at >= since:
                    desk.readdress(desk.recipients[other], email)
                    desk.mark("shared_domain", f"recipient:{other}")
            for other in person.customer_ids:
                desk.customers[other].email = email
                desk.mark("shared_domain", f"customer:{other}")


def names(desk: Desk) -> None:
    """Legal forms, capitals, abbreviations: each silo writes a company's name its own way."""
    for account in desk.ordinary():
        country = next((desk.companies[key].country for key in account.company_ids), None)
        for key in account.company_ids:
            rng = desk.chance("company name", key)
            if rng.random() < 0.08:
                desk.companies[key].name = legal_name(account.name, country, rng)
                desk.mark("company_name", f"account:{key}")
        for key in account.customer_ids:
            rng, customer = desk.chance("customer name", key), desk.customers[key]
            if rng.random() < 0.15:
                # Without an id that says whose it is, only what a resolver may undo.
                write = loose_name if customer.crm_account_id and rng.random() < 0.5 else legal_name
                customer.name = write(account.name, country, rng)
                desk.mark("company_name", f"customer:{key}")
        for key in account.recipient_ids:
            rng = desk.chance("recipient's company", key)
            if rng.random() < 0.06:
                desk.recipients[key].company_name = loose_name(account.name, None, rng)
                desk.mark("company_name", f"recipient:{key}")
