"""Which record a gap's key is of, by what its gate declares (`Gate.record_left`, `Gate.record_right`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Kind of record -> its silo, contract table and key there.
KINDS = {
    "account": ("crm", "accounts", "account_id"),
    "contact": ("crm", "contacts", "contact_id"),
    "lead": ("crm", "leads", "lead_id"),
    "opportunity": ("crm", "opportunities", "opportunity_id"),
    "recipient": ("email", "recipients", "recipient_id"),
    "customer": ("billing", "customers", "customer_id"),
    "subscription": ("billing", "subscriptions", "subscription_id"),
    "invoice": ("billing", "invoices", "invoice_id"),
    "price": ("billing", "prices", "price_id"),
}
#: What the gates put in place of an address; an id with one is no longer the vendor's.
HIDDEN = "(e-mail address)"
_OF_TABLE = {table: kind for kind, (_, table, _) in KINDS.items()}
#: What identity calls a record of a kind.
_OF_IDENTITY = {"crm": "account", "billing": "customer"} | {
    kind: kind for kind in ("contact", "lead", "customer", "recipient")
}


@dataclass(frozen=True)
class Record:
    """A record by its id, and the kinds it may be of. `source` where the key says it."""

    kinds: Sequence[str]
    record_id: str
    source: str | None = None


def record_of(declared: str | None, silo: str | None, key: str | None) -> Record | None:
    """The record that a key is of; None if it is of none.

    `declared` is a kind, or several (`contact or lead`) of which those of the silo may be meant; `kind ...`
    where more follows the id in the key; `kind id` or `table id` where the key itself says which; `record`
    for identity's `silo:source:id`.
    """
    if not declared or not key or HIDDEN in key:
        return None
    if declared == "record":
        kind, _, rest = key.partition(":")
        source, _, record_id = rest.partition(":")
        known = _OF_IDENTITY.get(kind)
        return Record((known,), record_id, source) if known and record_id else None
    if declared in ("kind id", "table id"):
        said, _, record_id = key.partition(" ")
        known = said if declared == "kind id" else _OF_TABLE.get(said)
        return Record((known,), record_id) if known in KINDS and record_id else None
    if declared.endswith(" ..."):
        return Record((declared.removesuffix(" ..."),), key.partition(" ")[0])
    return Record([kind for kind in declared.split(" or ") if KINDS[kind][0] == silo], key)
