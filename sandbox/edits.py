"""What people change in the company's tools by hand: records created, changed and deleted.

An edit is an object of JSON: `kind` (a silo and one of its lists, as in `world.py`: crm.deals,
billing.invoices, finance.spend ...), and one of

* `create`: the fields of a new record, its `id` among them; dates and times left out are the edit's;
* `id` and `set`: fields of a record, as they shall be;
* `id` and `"delete": true`: into the bin of tools that have one (CRM records, campaigns and billing customers
  can be had back by setting `archived_at` or `deleted_at` to null), or gone for good.

`at` is when it happened, just now unless it says otherwise: fields with a history have the value since then,
and a deal is closed or open since then as its stage is. What a tool says of a record's last change is when
the edit was entered (`entered`), whatever `at` is, so that connectors see it; an `updated_at` among the
fields is kept. What has no such date (prices, payments, messages) shows its change to whoever reads all of
it. A spreadsheet takes any text for a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from sandbox.simulation import sort
from sandbox.simulation.account import TRACKED
from sandbox.world import Billing, Crm, Deal, Email, Finance, World

Json = dict[str, Any]

SILOS = {"crm": Crm, "email": Email, "billing": Billing, "finance": Finance}
#: Kind of record -> its class.
KINDS: dict[str, type] = {
    f"{silo}.{name}": get_args(hint)[0]
    for silo, known in SILOS.items()
    for name, hint in get_type_hints(known).items()
}
#: Fields that name another record, and its kind. Ids that one tool keeps of another's records are nobody's.
REFERENCES = {
    "owner_id": "crm.owners",
    "company_id": "crm.companies",
    "parent_id": "crm.companies",
    "contact_id": "crm.contacts",
    "contact_ids": "crm.contacts",
    "deal_id": "crm.deals",
    "stage": "crm.stages",
    "campaign_id": "email.campaigns",
    "recipient_id": "email.recipients",
    "customer_id": "billing.customers",
    "product_id": "billing.products",
    "price_id": "billing.prices",
    "subscription_id": "billing.subscriptions",
    "invoice_id": "billing.invoices",
    "payment_id": "billing.payments",
}
ACTIONS = ("create", "set", "delete")
#: Fields that records with a history keep one of.
KEPT = TRACKED | {"team", "region"}


def entered(world: World, given: Any) -> Json:
    """An edit as it is kept: with the time it was made. Raises ValueError saying what is wrong with it."""
    if not isinstance(given, dict):
        raise ValueError("the edit is not a JSON object")
    if unknown := sorted(given.keys() - {"kind", "id", "at", *ACTIONS}):
        raise ValueError(f"unknown key {unknown[0]!r}")
    if given.get("kind") not in KINDS:
        raise ValueError(f"kind {given.get('kind')!r} is none of {', '.join(KINDS)}")
    if len(given.keys() & set(ACTIONS)) != 1 or given.get("delete", True) is not True:
        raise ValueError('expected one of "create": {fields}, "set": {fields}, "delete": true')
    now = world.now - timedelta(seconds=1)
    if _moment(given.get("at"), now) > now:
        raise ValueError(f"at {given['at']} has not come yet: it is {world.now.isoformat()}")
    return {**given, "entered": now.isoformat()}


def apply(world: World, edits: Iterable[Mapping[str, Any]]) -> None:
    """Make edits, as `entered` gives them, in a world.

    Raises ValueError at the first that cannot be made in it, which then has changed nothing.
    """
    made = list(edits)
    for edit in made:
        _apply(world, edit)
    if any("create" in edit for edit in made):
        sort(world)


def _apply(world: World, edit: Mapping[str, Any]) -> None:
    kind, now = edit["kind"], datetime.fromisoformat(edit["entered"])
    at = _moment(edit.get("at"), now)
    records = _list(world, kind)
    if "create" in edit:
        record = _new(world, kind, edit["create"], at, now)
        if any(key_of(known) == key_of(record) for known in records):
            raise ValueError(f"{kind} has a record {key_of(record)!r} already")
        records.append(record)
        return
    found = next((known for known in records if key_of(known) == edit.get("id")), None)
    if found is None:
        raise ValueError(f"{kind} has no record {edit.get('id')!r}")
    if "set" in edit:
        _set(world, found, _values(world, kind, edit["set"], is_new=False), at, now)
        return
    bin_ = next((name for name in ("archived_at", "deleted_at") if hasattr(found, name)), None)
    if bin_ is None:
        records.remove(found)
    else:
        setattr(found, bin_, at)
        _touch(found, now)


def key_of(record: Any) -> str:
    """What names a record within its kind."""
    return str(record.id) if hasattr(record, "id") else f"{record.rate_date} {record.currency}"


def _list(world: World, kind: str) -> list[Any]:
    silo, name = kind.split(".")
    found: list[Any] = getattr(getattr(world, silo), name)
    return found


def _moment(given: Any, default: datetime) -> datetime:
    if given is None:
        return default
    try:
        return _parsed(datetime, given, "at")
    except ValueError:
        raise ValueError(f"at {given!r} is not a time with its zone, such as 2026-05-31T12:00:00Z") from None


def _new(world: World, kind: str, given: Any, at: datetime, now: datetime) -> Any:
    values = _values(world, kind, given, is_new=True)
    for field in fields(KINDS[kind]):
        if field.name in values or not _is_required(field):
            continue
        if field.name == "updated_at":
            values[field.name] = now
        elif field.type in ("datetime", "date"):
            values[field.name] = at if field.type == "datetime" else at.date()
        else:
            raise ValueError(f"{kind}: {field.name} is missing")
    record = KINDS[kind](**values)
    if hasattr(record, "history"):
        tracked = [name for name in values if name in KEPT]
        record.history = {name: [(at, values[name])] for name in tracked}
    if isinstance(record, Deal) and "closed_at" not in values:
        _close(world, record, at)
    return record


def _set(world: World, record: Any, values: Json, at: datetime, now: datetime) -> None:
    for name, value in values.items():
        if not hasattr(record, "history") or name not in KEPT:
            setattr(record, name, value)
            continue
        known = record.history.get(name) or [(getattr(record, "created_at", at), getattr(record, name))]
        later = [entry for entry in known if entry[0] > now]
        record.history[name] = [*(entry for entry in known if entry[0] < at), (at, value), *later]
        setattr(record, name, record.history[name][-1][1])
    if isinstance(record, Deal) and "stage" in values and "closed_at" not in values:
        _close(world, record, record.history["stage"][-1][0])
    if "updated_at" not in values:
        _touch(record, now)


def _close(world: World, deal: Deal, at: datetime) -> None:
    """A deal's closing is that of its stage."""
    is_open = {stage.id: stage.outcome for stage in world.crm.stages}[deal.stage] == "open"
    deal.closed_at = None if is_open else at


def _touch(record: Any, now: datetime) -> None:
    if hasattr(record, "updated_at"):
        record.updated_at = max(record.updated_at, now)


# ------------------------------------------------------------ reading what is given


def _values(world: World, kind: str, given: Any, is_new: bool) -> Json:
    """Fields of a record of a kind, with values of their types that name what there is."""
    values = _read(KINDS[kind], given, kind)
    if "history" in values:
        raise ValueError(f"{kind}: history cannot be set; say at when the fields had which value")
    if "id" in values and not is_new:
        raise ValueError(f"{kind}: id cannot be set: other records name it")
    for name, value in _named(values):
        is_own = name != "campaign_id" or kind.startswith("email.")
        if name not in REFERENCES or value is None or not is_own:
            continue
        keys = {key_of(record) for record in _list(world, REFERENCES[name])}
        for key in value if isinstance(value, list) else [value]:
            if key not in keys:
                raise ValueError(f"{kind}: {name}: {REFERENCES[name]} has no record {key!r}")
    return values


@cache
def _hints(known: type) -> dict[str, Any]:
    return get_type_hints(known)


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


def _read(known: type, given: Any, where: str) -> Json:
    if not isinstance(given, dict):
        raise ValueError(f"{where}: expected an object of fields")
    hints = _hints(known)
    if unknown := sorted(given.keys() - hints.keys()):
        raise ValueError(f"{where} has no field {unknown[0]!r}; it has {', '.join(hints)}")
    is_sheet = where.startswith("finance.")
    return {name: _parsed(hints[name], value, f"{where}: {name}", is_sheet) for name, value in given.items()}


def _parsed(hint: Any, value: Any, where: str, is_sheet: bool = False) -> Any:
    if get_origin(hint) is list and is_dataclass(part := get_args(hint)[0]):
        if not isinstance(value, list):
            raise ValueError(f"{where}: expected a list")
        assert isinstance(part, type)
        return [_part(part, one, where) for one in value]
    try:
        found = _adapter(hint).validate_python(value)
    except ValidationError as exc:
        if is_sheet and isinstance(value, str):
            return value
        raise ValueError(f"{where}: {value!r}: {exc.errors()[0]['msg']}") from None
    if isinstance(found, datetime) and found.tzinfo is None:
        raise ValueError(f"{where}: {value!r} does not say its time zone")
    return found


def _part(known: type, given: Any, where: str) -> Any:
    """A part of a record: a line of an invoice, an item of a subscription."""
    values = _read(known, given, where)
    missing = [f.name for f in fields(known) if _is_required(f) and f.name not in values]
    if missing:
        raise ValueError(f"{where}: {missing[0]} is missing")
    return known(**values)


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _named(values: Json) -> Iterator[tuple[str, Any]]:
    """Fields and values, those of the record's parts among them."""
    for name, value in values.items():
        yield name, value
        for part in value if isinstance(value, list) else []:
            if is_dataclass(part):
                yield from vars(part).items()
