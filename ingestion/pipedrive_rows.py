"""Pipedrive's objects as rows of its raw tables, the account's own fields under their columns.

In: what the field endpoints of API v2 describe and what the lists hold. Out: rows; an option's id gives way
to its label, since an id says nothing outside Pipedrive.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from ingestion.custom import raw_column
from ingestion.pipedrive_tables import CUSTOM, CUSTOM_HISTORY, HISTORY

Json = dict[str, Any]

#: What API v1 writes where there is no moment.
_NEVER = "0000-00-00"


class OwnFields:
    """The fields of `CUSTOM`, and those `asked` for, as one account has them.

    `missing` are names it does not have, `keys` what to ask for, `digest` tells whether any of it changed.
    """

    def __init__(self, table: str, described: list[Json], asked: Iterable[str] = ()) -> None:
        # An account may have made a field of its own before Pipedrive had a standard one of that name.
        ranked = sorted(described, key=lambda field: field.get("is_custom_field") is True)
        by_name = {str(field["field_name"]).strip().lower(): field for field in ranked}
        wanted = {raw_column(name): (name, "text") for name in asked} | CUSTOM.get(table, {})
        self.fields = {
            column: by_name[name.lower()] for column, (name, _) in wanted.items() if name.lower() in by_name
        }
        self.missing = [name for column, (name, _) in wanted.items() if column not in self.fields]
        self.keys = [f["field_code"] for f in self.fields.values() if f.get("is_custom_field")]
        self._options = {
            column: {str(option["id"]): option["label"] for option in field.get("options") or []}
            for column, field in self.fields.items()
        }
        shown = {c: [f["field_code"], f["field_type"], self._options[c]] for c, f in self.fields.items()}
        self.digest = hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()

    def row(self, body: Json) -> Json:
        """An object of API v2 as a row."""
        own = body.get("custom_fields") or {}
        standard = {f["field_code"] for f in self.fields.values() if not f.get("is_custom_field")}
        row = {name: value for name, value in body.items() if name not in {"custom_fields", *standard}}
        for column, field in self.fields.items():
            held = own if field.get("is_custom_field") else body
            row[column] = self.value(column, held.get(field["field_code"]))
        row["is_deleted"] = body.get("is_deleted") is True or body.get("status") == "deleted"
        return row

    def value(self, column: str, given: Any) -> Any:
        """The value of a field: labels for options, the figure alone of an amount of money or the like."""
        kind = self.fields[column]["field_type"]
        if given is None or given == "":
            return None
        if kind == "set" and isinstance(given, (list, str)):
            chosen = given if isinstance(given, list) else given.split(",")
            return ", ".join(self._label(column, key) for key in chosen)
        if kind == "enum" and not isinstance(given, (list, dict)):
            return self._label(column, given)
        return given["value"] if isinstance(given, dict) and "value" in given else given

    def _label(self, column: str, key: Any) -> str:
        """An option that has been removed has no label any more; its id stays."""
        return str(self._options[column].get(str(key), key))

    def change(self, entry: Json) -> Json | None:
        """A change out of a deal's flow as a row of `deal_changes`; None if its field is not followed."""
        body = entry["data"]
        own = self.fields.get(CUSTOM_HISTORY)
        is_own = own is not None and body["field_key"] == own["field_code"]
        if not is_own and body["field_key"] not in HISTORY:
            return None
        old, new = (self._was(body.get(name), is_own) for name in ("old_value", "new_value"))
        return {
            "deal_id": body["item_id"],
            "id": body["id"],
            "field_key": CUSTOM_HISTORY if is_own else body["field_key"],
            "old_value": old,
            "new_value": new,
            "log_time": body["log_time"],
            "user_id": body.get("user_id"),
            "change_source": body.get("change_source"),
            "is_deleted": False,
        }

    def _was(self, value: Any, is_own: bool) -> Any:
        return self.value(CUSTOM_HISTORY, value) if is_own else (None if value == "" else value)


def v1(body: Json) -> Json:
    """An object of API v1 as a row."""
    row = {k: None if isinstance(v, str) and v.startswith(_NEVER) else v for k, v in body.items()}
    return row | {"is_deleted": body.get("is_deleted") is True}


def participant(deal_id: str, body: Json) -> Json:
    """A row of `deal_participants`; the person comes as an object in API v1."""
    person = body["person_id"]
    return {
        **{name: value for name, value in body.items() if name != "person_id"},
        "deal_id": deal_id,
        "person_id": person["value"] if isinstance(person, dict) else person,
        "is_deleted": False,
    }
