"""Where groups of linked records that contradict themselves are cut: at their weakest links.

Links are taken in order, the firmest first, and a link that would bring together what cannot be one (two tax
ids, a pair that an override keeps apart) does not stand. What comes out depends on the set of records alone,
not on the order they arrived in. Only groups in which something may clash come here; SQL picks them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from difflib import SequenceMatcher
from itertools import product
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

#: The firmest first.
METHODS = (
    *("override", "merged", "conversion", "crm_account_id", "billing_customer_id"),
    *("tax_id", "email", "domain", "name", "likeness"),
)
#: More companies than this with names of their own make a domain an agency's or a provider's.
MOST_NAMES_AT_A_DOMAIN = 3
#: More companies than this one person does not work for.
MOST_COMPANIES_OF_A_PERSON = 3

#: How alike two names of one company must be, of 1.
ALIKE = 0.6

_CUTS = pa.schema(
    [
        *(("record", pa.string()), ("match_key", pa.string()), ("part", pa.int32())),
        *(("against", pa.string()), ("why", pa.string())),
    ]
)


@dataclass(frozen=True)
class Link:
    """A key and the records that share it."""

    match_key: str
    method: str
    score: float
    records: tuple[str, ...]


@dataclass(frozen=True)
class Cut:
    """A record that does not stay with the others of a key: which part of them it belongs to, and why."""

    record: str
    match_key: str
    part: int
    against: str  # the first of the records it is cut from
    why: str


@dataclass
class Facts:
    """What is known of a record, or of several taken as one."""

    records: set[str]
    apart: set[str] = field(default_factory=set)  # records that an override keeps away from these
    related: set[str] = field(default_factory=set)  # records that these name as parents
    tax_numbers: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)
    customers: set[str] = field(default_factory=set)  # billing customers that live CRM records and they name
    names: set[tuple[str, ...]] = field(default_factory=set)
    companies: set[str] = field(default_factory=set)  # where a person works

    @property
    def is_in_crm(self) -> bool:
        """Whether a CRM account is among them."""
        return any(record.startswith("crm:") for record in self.records)

    def joined(self, other: Facts) -> Facts:
        """Both as one."""
        return Facts(**{name: value | getattr(other, name) for name, value in vars(self).items()})


Clash = Callable[[Facts, Facts, Link], str | None]


def cut(links: Iterable[Link], facts: Mapping[str, Facts], clash: Clash) -> list[Cut]:
    """What does not stand of the links of some groups. `clash` says why two cannot be one, or None."""
    known = dict(facts)
    heads = {record: record for record in facts}

    def head(record: str) -> str:
        while heads[record] != record:
            heads[record] = heads[heads[record]]
            record = heads[record]
        return record

    cuts = []
    for link in sorted(links, key=lambda one: (METHODS.index(one.method), -one.score, one.match_key)):
        parts: list[str] = []
        for record in sorted(link.records):
            whys: list[str] = []
            for number, first in enumerate(parts):
                one, other = head(first), head(record)
                why = None if one == other else clash(known[one], known[other], link)
                if why is None:
                    if one != other:
                        heads[max(one, other)] = min(one, other)
                        known[min(one, other)] = known[one].joined(known[other])
                    if number:
                        cuts.append(Cut(record, link.match_key, number, parts[0], whys[0]))
                    break
                whys.append(why)
            else:
                if parts:
                    cuts.append(Cut(record, link.match_key, len(parts), parts[0], whys[0]))
                parts.append(record)
    return cuts


def companies_clash(crowded: Mapping[str, Sequence[str]]) -> Clash:
    """Why two companies' records cannot be one. `crowded`: domains that many share -> their names."""

    def clash(one: Facts, other: Facts, link: Link) -> str | None:
        rank = METHODS.index(link.method)
        if one.apart & other.records or other.apart & one.records:
            return "an override keeps them apart"
        if rank == METHODS.index("tax_id") or rank < METHODS.index("billing_customer_id"):
            return None
        if link.method == "billing_customer_id" and not (one.is_in_crm and other.is_in_crm):
            return None
        if _disjoint(one.tax_numbers, other.tax_numbers):
            return "different tax ids"
        by_domain = ("billing_customer_id", "name", "likeness")
        if link.method in by_domain and _disjoint(one.domains, other.domains):
            return "different domains"
        if link.method == "billing_customer_id":
            return None
        if _disjoint(one.customers, other.customers):
            return "different customers by their ids"
        if one.related & other.records or other.related & one.records:
            return "one is the other's parent"
        if link.match_key in crowded and not _alike(one.names, other.names):
            return f"a domain of {len(crowded[link.match_key])} companies"
        return None

    return clash


def people_clash(one: Facts, other: Facts, link: Link) -> str | None:
    """Why two people's records cannot be one."""
    if one.apart & other.records or other.apart & one.records:
        return "an override keeps them apart"
    if link.method == "email" and one.names and other.names and not _same_people(one.names, other.names):
        return "different names at one address"
    companies = one.companies | other.companies
    if link.method == "likeness" and len(companies) > MOST_COMPANIES_OF_A_PERSON:
        return f"one person at {len(companies)} companies"
    return None


def crowded_domains(links: Iterable[Link], facts: Mapping[str, Facts]) -> dict[str, list[str]]:
    """Domain keys at which more companies have names of their own than one company has; with one of each."""
    found = {}
    for link in links:
        if link.method != "domain":
            continue
        label = link.match_key.removeprefix("domain:").split(".")[0].replace("-", "")
        owners: list[tuple[str, ...]] = []
        for record in sorted(link.records):
            if record.startswith("crm:"):
                for name in facts[record].names:
                    own = (label,) if _contains(label, name[0]) else name
                    if not any(_alike({own}, {owner}) for owner in owners):
                        owners.append(own)
        if len(owners) > MOST_NAMES_AT_A_DOMAIN:
            found[link.match_key] = [owner[0] for owner in owners]
    return found


def _disjoint(one: set[str], other: set[str]) -> bool:
    return bool(one and other) and one.isdisjoint(other)


def _contains(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) >= 3 and short in long


def _alike(names: set[tuple[str, ...]], others: set[tuple[str, ...]]) -> bool:
    return any(
        _contains(one, other) or SequenceMatcher(None, one, other, autojunk=False).ratio() >= ALIKE
        for (one, *_), (other, *_) in product(sorted(names), sorted(others))
    )


def _same_people(names: set[tuple[str, ...]], others: set[tuple[str, ...]]) -> bool:
    """Whether a name of the one and a name of the other have a part in common, an initial included."""
    for one, other in product(sorted(names), sorted(others)):
        if any(_same_name(mine, yours) for mine, yours in product(one, other)):
            return True
    return False


def _same_name(one: str, other: str) -> bool:
    if min(len(one), len(other)) <= 2:
        return one[:1] == other[:1]
    return SequenceMatcher(None, one, other, autojunk=False).ratio() >= ALIKE


def company_cuts(doubts: DuckDBPyRelation) -> pa.Table:
    """Cuts between CRM accounts and billing customers, of the model identity__account_doubts."""
    rows = _rows(doubts)
    facts = {
        row["record"]: Facts(
            {row["record"]},
            apart=set(row["apart"] or ()),
            related={row["parent_record"]} - {None},
            tax_numbers={row["tax_number"]} - {None},
            domains={row["domain"]} - {None},
            customers=set(row["customers"] or ()),
            names={(row["name"],)} if row["name"] else set(),
        )
        for row in rows
    }
    links = list(_links(rows))
    return _table(cut(links, facts, companies_clash(crowded_domains(links, facts))))


def people_cuts(doubts: DuckDBPyRelation) -> pa.Table:
    """Cuts between the records of people, of the model identity__people_doubts."""
    rows = _rows(doubts)
    facts = {}
    for row in rows:
        name = tuple(part for part in (row["first_name"], row["last_name"]) if part)
        facts[row["record"]] = Facts(
            {row["record"]},
            apart=set(row["apart"] or ()),
            names={name} if name else set(),
            companies={row["works_at"]} - {None},
        )
    return _table(cut(_links(rows), facts, people_clash))


def _rows(relation: DuckDBPyRelation) -> list[dict[str, Any]]:
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def _links(rows: Iterable[Mapping[str, Any]]) -> Iterator[Link]:
    records = defaultdict(list)
    for row in rows:
        for link in row["links"]:
            records[link["match_key"], link["method"], link["score"]].append(row["record"])
    for (match_key, method, score), sharing in records.items():
        yield Link(match_key, method, score, tuple(sharing))


def _table(found: Iterable[Cut]) -> pa.Table:
    columns = list(zip(*map(astuple, found), strict=True)) or [()] * len(_CUTS)
    return pa.table([pa.array(one, kind.type) for one, kind in zip(columns, _CUTS, strict=True)], _CUTS)
