"""What makes a company's records unlike a textbook's: nobody types the same thing twice.

A pass over the clean world, which draws from chance of its own: without it the world is the clean one to the
last record. It changes who a record seems to be and never what was sold, paid or sent to whom, but for the
records entered twice. Every vendor can show all of it, and shows the same. CRM accounts are not deleted: of
those some vendors keep no trace.
"""

from __future__ import annotations

from sandbox.noise import companies, copies, customers, people
from sandbox.noise.desk import Desk
from sandbox.world import World

__all__ = ["KINDS", "make_noise"]

KINDS = (
    *("subsidiary", "subsidiary_at_parents_domain", "shared_domain", "company_name"),
    *("missing_crm_account_id", "paid_from_private_address", "paid_by_accountant", "came_back"),
    *("address_typo", "private_address", "name_typo", "plus_tag", "alias", "gmail_dots"),
    *("duplicate_account", "duplicate_contact", "made_anew"),
)


def make_noise(world: World) -> None:
    """Blur who is who in a clean world whose people are known, and tell its truth so."""
    desk = Desk(world)
    companies.subsidiaries(desk)
    companies.shared_domains(desk)
    companies.names(desk)
    customers.missing_ids(desk)
    customers.payers(desk)
    customers.returns(desk)
    people.contacts(desk)
    people.recipients(desk)
    people.bounces(desk)
    copies.accounts(desk)
    copies.contacts(desk)
    copies.made_anew(desk)
