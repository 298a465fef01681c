"""How well a built warehouse knows who is who: pairs of records it joins, against the ledger's.

A record is written `kind:id`, as in the ledger; the sandbox has one source a silo. Pairs of which one record
is `unknowable` do not count as missed, but joining it to the wrong one counts as wrong.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

import duckdb

from sandbox.ledger import Ledger
from sandbox.ledger.identity import Identities
from sandbox.world import World

Pair = tuple[str, str]

_ACCOUNTS = """
select 'account:' || account_id, account from identity.crm_accounts
union all
select 'customer:' || customer_id, account from identity.billing_customers"""

_RECORDS = """
select kind || ':' || record_id, person from identity.people_records where kind <> 'event'"""

#: What people are known by where the warehouse only says who an address is.
_ADDRESSES = """
with sightings as (
    select 'contact:' || contact_id as record, email from crm.contacts
    union all
    select 'lead:' || lead_id, email from crm.leads
    union all
    select 'recipient:' || recipient_id, email from email.recipients
    union all
    select 'customer:' || customer_id, email from billing.customers
)
select sightings.record, coalesce(people.person, sightings.record)
from sightings
left join identity.people as people on lower(trim(sightings.email)) = people.email"""


@dataclass(frozen=True)
class Quality:
    """Pairs of records that belong together: how many truly do, how many were joined, and the mistakes."""

    right: int
    missed: list[Pair]
    wrong: list[Pair]

    @property
    def precision(self) -> float:
        """Share of the joined pairs that belong together."""
        return self.right / max(self.right + len(self.wrong), 1)

    @property
    def recall(self) -> float:
        """Share of the pairs that belong together that were joined."""
        return self.right / max(self.right + len(self.missed), 1)


def account_quality(warehouse: duckdb.DuckDBPyConnection, ledger: Ledger) -> Quality:
    """CRM accounts and billing customers."""
    found = dict(warehouse.execute(_ACCOUNTS).fetchall())
    return _quality(found, ledger.identities.accounts(), ledger)


def people_quality(warehouse: duckdb.DuckDBPyConnection, ledger: Ledger) -> Quality:
    """Contacts, leads, recipients, and the addresses of billing customers."""
    tables = warehouse.execute(
        "select table_name from duckdb_tables() where schema_name = 'identity' union all"
        " select view_name from duckdb_views() where schema_name = 'identity'"
    ).fetchall()
    found = dict(warehouse.execute(_RECORDS if ("people_records",) in tables else _ADDRESSES).fetchall())
    leads = {f"lead:{key}" for (key,) in warehouse.execute("select lead_id from crm.leads").fetchall()}
    true = {r: p for r, p in ledger.identities.people.items() if not r.startswith("lead:") or r in leads}
    return _quality(found, true, ledger)


def _quality(found: dict[str, str], true: dict[str, str], ledger: Ledger) -> Quality:
    unknown = found.keys() - true.keys()
    assert not unknown, f"records that the ledger does not know: {sorted(unknown)[:5]}"
    forgotten = _deletable(ledger.world)
    lost = true.keys() - found.keys() - forgotten
    assert not lost, f"records that the warehouse does not have: {sorted(lost)[:5]}"
    joined, belong = set(_pairs(found)), set(_pairs({r: key for r, key in true.items() if r in found}))
    unknowable = ledger.identities.unknowable
    missed = [p for p in sorted(belong - joined) if not unknowable.keys() & {*p}]
    return Quality(len(belong & joined), missed, sorted(joined - belong))


def _pairs(owners: dict[str, str]) -> Iterator[Pair]:
    members: dict[str, list[str]] = defaultdict(list)
    for record, owner in owners.items():
        members[owner].append(record)
    for records in members.values():
        yield from combinations(sorted(records), 2)


def _deletable(world: World) -> set[str]:
    """Deleted records, which some vendors forget altogether."""
    return (
        {f"{kind}:{c.id}" for c in world.crm.contacts if c.archived_at for kind in ("contact", "lead")}
        | {f"account:{c.id}" for c in world.crm.companies if c.archived_at}
        | {f"customer:{c.id}" for c in world.billing.customers if c.deleted_at}
    )


def report(what: str, quality: Quality, ledger: Ledger, most: int = 40) -> str:
    """The figures, the mistakes by noise kind, and the first of the mistakes with what the records say."""
    lines = [
        f"{what}: precision {quality.precision:.4f} ({len(quality.wrong)} wrong), "
        f"recall {quality.recall:.4f} ({len(quality.missed)} missed of {quality.right + len(quality.missed)})"
    ]
    shown = Describe(ledger)
    for name, pairs in (("missed", quality.missed), ("wrong", quality.wrong)):
        kinds = Counter(kind for pair in pairs for kind in shown.kinds(pair))
        lines += [f"  {name} with {kind}: {count}" for kind, count in kinds.most_common()]
        lines += [f"  {name}: {shown.record(a)}  --  {shown.record(b)}" for a, b in pairs[:most]]
    return "\n".join(lines)


class Describe:
    """Records in words, for whoever tunes the resolver."""

    def __init__(self, ledger: Ledger) -> None:
        self.identities: Identities = ledger.identities
        crm, world = ledger.world.crm, ledger.world
        people = {
            c.id: f"{c.first_name} {c.last_name} <{c.email}>, account {c.company_id}" for c in crm.contacts
        }
        self.texts = {
            "account": {c.id: f"{c.name}, {c.domain}, {c.country}, tax {c.tax_id}" for c in crm.companies},
            "contact": people,
            "lead": people,
            "recipient": {
                r.id: f"{r.first_name} {r.last_name} <{r.email}>, {r.company_name}"
                for r in world.email.recipients
            },
            "customer": {
                c.id: f"{c.name} <{c.email}>, {c.country}, tax {c.tax_id}, CRM {c.crm_account_id}"
                for c in world.billing.customers
            },
        }

    def kinds(self, pair: Iterable[str]) -> set[str]:
        """The noise of either record."""
        return {kind for record in pair for kind in self.identities.noise.get(record, [])} or {"no noise"}

    def record(self, record: str) -> str:
        """One record, with its noise."""
        kind, key = record.split(":", 1)
        return f"{record} [{', '.join(sorted(self.kinds([record])))}] {self.texts[kind][key]}"
