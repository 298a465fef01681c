"""What a run is restricted to: one source, and what of it is read again.

It travels as tags of the run, so that a backfill can be asked for on the command line and in Dagster's UI.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ingestion.changes import Backfill
from ingestion.core import raw_tables
from orchestration.environment import Environment
from settings.errors import UserError

SOURCE_TAG, TABLE_TAG = "revops/source", "revops/table"
SINCE_TAG, UNTIL_TAG = "revops/since", "revops/until"


@dataclass(frozen=True)
class Scope:
    """One source that a run loads; the others stay as they were loaded last."""

    source: str
    table: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def tags(self) -> dict[str, str]:
        """As a run carries it."""
        found = {SOURCE_TAG: self.source}
        if self.table is not None:
            found[TABLE_TAG] = self.table
        if self.since is not None:
            found[SINCE_TAG] = self.since.isoformat()
        if self.until is not None:
            found[UNTIL_TAG] = self.until.isoformat()
        return found


def scope(
    environment: Environment,
    source: str | None,
    table: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Scope | None:
    """What was asked for, checked; None for a whole run.

    In: `since` and `until` without a time zone are in the company's. Raises `UserError` for what is not
    configured, for a table or a time without a source, a table or an end without a beginning, and an end that
    is not after it.
    """
    if source is None:
        if table is not None or since is not None or until is not None:
            raise UserError("--table, --since and --until are of one source. Name it with --source")
        return None
    known = environment.config.sources
    if source not in known:
        raise UserError(f"--source {source}: there is no such source; there is {', '.join(sorted(known))}")
    if table is not None:
        tables = [name for name in raw_tables(known[source]) if not name.startswith("_")]
        if table not in tables:
            raise UserError(f"--table {table}: {source} has no such table; it has {', '.join(tables)}")
        if since is None:
            raise UserError("--table says what is read again, and needs --since: from when on")
    instant = environment.config.company.instant
    start, end = (instant(moment) if moment else None for moment in (since, until))
    if end is not None and start is None:
        raise UserError("--until is the end of what is read again, and needs --since: its beginning")
    if start is not None and end is not None and end <= start:
        raise UserError(f"--until {end:%Y-%m-%d %H:%M} is not after --since {start:%Y-%m-%d %H:%M}")
    return Scope(source, table, start, end)


def backfill_of(tags: Mapping[str, str], source: str) -> Backfill | None:
    """What a run with these tags reads again of a source."""
    if SINCE_TAG not in tags or tags.get(SOURCE_TAG, source) != source:
        return None
    until = datetime.fromisoformat(tags[UNTIL_TAG]) if UNTIL_TAG in tags else None
    return Backfill(datetime.fromisoformat(tags[SINCE_TAG]), tags.get(TABLE_TAG), until)
