"""Who of the clean world's records is one person: an address has one, a person has one address."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.truth import TruePerson
from sandbox.world import World


def true_people(world: World) -> list[TruePerson]:
    """Everybody any silo knows, by their address: contacts first, then recipients, then customers."""
    found: dict[str, TruePerson] = {}
    for kind, key, email in _records(world):
        address = email.lower()
        person = found.setdefault(address, TruePerson(address, emails={address}))
        getattr(person, f"{kind}_ids").append(key)
    return list(found.values())


def _records(world: World) -> Iterator[tuple[str, str, str]]:
    for contact in world.crm.contacts:
        assert contact.email is not None
        yield "contact", contact.id, contact.email
    for recipient in world.email.recipients:
        yield "recipient", recipient.id, recipient.email
    for customer in world.billing.customers:
        assert customer.email is not None
        yield "customer", customer.id, customer.email
