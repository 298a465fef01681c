"""What every kind of noise needs: chance of its own, and the clean world's records by who they are of."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from sandbox.truth import NoisyRecord, TrueAccount, TruePerson
from sandbox.world import Campaign, Company, Contact, Customer, EmailEvent, EmailLead, Recipient, World


class Desk:
    """The world on its way from clean to noisy.

    Whether and how a record is blurred hangs on its id alone, never on what came later or on other records'
    chance: so a later clock shows the same noise, and more of it.
    """

    def __init__(self, world: World) -> None:
        self.world, self.truth = world, world.truth
        self.companies: dict[str, Company] = {c.id: c for c in world.crm.companies}
        self.contacts: dict[str, Contact] = {c.id: c for c in world.crm.contacts}
        self.customers: dict[str, Customer] = {c.id: c for c in world.billing.customers}
        self.recipients: dict[str, Recipient] = {r.id: r for r in world.email.recipients}
        self.campaigns: dict[str, Campaign] = {c.id: c for c in world.email.campaigns}
        self._letters: dict[str, list[EmailEvent | EmailLead]] = defaultdict(list)
        for event in world.email.events:
            self._letters[event.recipient_id].append(event)
        for lead in world.email.leads:
            self._letters[lead.recipient_id].append(lead)
        self.person_of: dict[str, TruePerson] = {}
        for person in self.truth.people:
            for kind in ("contact", "recipient", "customer"):
                for key in getattr(person, f"{kind}_ids"):
                    self.person_of[f"{kind}:{key}"] = person
        self.account_of: dict[str, TrueAccount] = {}
        for account in self.truth.accounts:
            for name in ("company", "contact", "recipient", "customer"):
                kind = "account" if name == "company" else name
                for key in getattr(account, f"{name}_ids"):
                    self.account_of[f"{kind}:{key}"] = account
        self._noisy: set[str] = set()

    def chance(self, kind: str, key: str) -> random.Random:
        """Chance of one kind of noise on one record."""
        return random.Random(f"{self.world.seed}:noise:{kind}:{key}")

    def mark(self, kind: str, record: str, unknowable: str | None = None) -> None:
        """Note a blurred record in the truth."""
        self._noisy.add(record)
        self.truth.noise.append(NoisyRecord(kind, record, unknowable))

    def is_noisy(self, record: str) -> bool:
        """Whether it is blurred already: what two kinds blur at once nobody can know."""
        return record in self._noisy

    def ordinary(self) -> list[TrueAccount]:
        """Companies that silos know, but for those with a planted gap, which stay plain."""
        return [account for account in self.truth.accounts if account.key.startswith("account-")]

    def has_come(self, when: datetime) -> bool:
        """Whether an instant lies in the past."""
        return when < self.world.now

    def readdress(self, recipient: Recipient, email: str) -> None:
        """Let a recipient have had another address all along."""
        recipient.email = email
        for letter in self._letters[recipient.id]:
            letter.email = email
        self.person_of[f"recipient:{recipient.id}"].emails.add(email.lower())

    def add_contact(self, contact: Contact, like: str) -> None:
        """A contact more, of the person and company of the contact with the id `like`."""
        self.world.crm.contacts.append(contact)
        self.account_of[f"contact:{like}"].contact_ids.append(contact.id)
        person = self.person_of[f"contact:{like}"]
        person.contact_ids.append(contact.id)
        if contact.email:
            person.emails.add(contact.email.lower())


def number_of(account: TrueAccount) -> int:
    """The number that all ids of a company's records begin with."""
    ids = (*account.company_ids, *account.contact_ids, *account.recipient_ids, *account.customer_ids)
    found = re.search(r"\d{7}", ids[0])
    assert found is not None
    return int(found[0])


def first_seen(desk: Desk, account: TrueAccount) -> datetime | None:
    """When the first of a company's records was made."""

    def moments() -> Iterator[datetime]:
        yield from (desk.companies[key].created_at for key in account.company_ids)
        yield from (desk.contacts[key].created_at for key in account.contact_ids)
        yield from (desk.recipients[key].added_at for key in account.recipient_ids)

    return min(moments(), default=None)


def later(when: datetime, rng: random.Random, low: float, high: float) -> datetime:
    """An instant in whole seconds, some days on."""
    return when + timedelta(seconds=int(rng.uniform(low, high) * 86400))
