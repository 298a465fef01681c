"""Who is who: every silo record's true account and true person."""

from __future__ import annotations

from collections import defaultdict

from sandbox.truth import Truth


class Identities:
    """Maps of silo ids to true accounts, and of records and addresses to true people.

    Where a map is of several kinds of records, a record is written `kind:id`: account, contact, lead,
    recipient or customer. A person's lead has the id of their contact.
    """

    def __init__(self, truth: Truth) -> None:
        self.names = {account.key: account.name for account in truth.accounts}
        self.companies = {key: a.key for a in truth.accounts for key in a.company_ids}
        self.contacts = {key: a.key for a in truth.accounts for key in a.contact_ids}
        self.customers = {key: a.key for a in truth.accounts for key in a.customer_ids}
        self.recipients = {key: a.key for a in truth.accounts for key in a.recipient_ids}
        #: Record -> person.
        self.people: dict[str, str] = {}
        #: Address, in lower case -> who reads it.
        self.emails: dict[str, str] = {}
        for person in truth.people:
            for kind, keys in (
                ("contact", person.contact_ids),
                ("lead", person.contact_ids),
                ("recipient", person.recipient_ids),
                ("customer", person.customer_ids),
            ):
                self.people |= {f"{kind}:{key}": person.key for key in keys}
            self.emails |= dict.fromkeys(person.emails, person.key)
        #: Record -> what blurs it.
        self.noise: dict[str, list[str]] = defaultdict(list)
        #: Record -> why no resolver could know whose it is.
        self.unknowable: dict[str, str] = {}
        for noisy in truth.noise:
            also_lead = [noisy.record.replace("contact:", "lead:")] * noisy.record.startswith("contact:")
            for record in (noisy.record, *also_lead):
                self.noise[record].append(noisy.kind)
                if noisy.unknowable:
                    self.unknowable[record] = noisy.unknowable

    def accounts(self) -> dict[str, str]:
        """CRM account or billing customer, as a record -> true account."""
        return {f"account:{key}": account for key, account in self.companies.items()} | {
            f"customer:{key}": account for key, account in self.customers.items()
        }

    def rows(self) -> list[tuple[str, str, str]]:
        """(kind of record, its id, true account), sorted."""
        kinds = {
            "crm_account": self.companies,
            "crm_contact": self.contacts,
            "billing_customer": self.customers,
            "email_recipient": self.recipients,
        }
        return sorted((kind, key, account) for kind, keys in kinds.items() for key, account in keys.items())
