"""Who is who: every silo record's true account."""

from __future__ import annotations

from sandbox.world import Truth


class Identities:
    """Maps of silo ids to true account keys."""

    def __init__(self, truth: Truth) -> None:
        self.names = {account.key: account.name for account in truth.accounts}
        self.companies = {key: a.key for a in truth.accounts for key in a.company_ids}
        self.contacts = {key: a.key for a in truth.accounts for key in a.contact_ids}
        self.customers = {key: a.key for a in truth.accounts for key in a.customer_ids}
        self.recipients = {key: a.key for a in truth.accounts for key in a.recipient_ids}

    def rows(self) -> list[tuple[str, str, str]]:
        """(kind of record, its id, true account), sorted."""
        kinds = {
            "crm_account": self.companies,
            "crm_contact": self.contacts,
            "billing_customer": self.customers,
            "email_recipient": self.recipients,
        }
        return sorted((kind, key, account) for kind, keys in kinds.items() for key, account in keys.items())
