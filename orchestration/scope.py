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

SOURCE_TAG, TABLE_TAG, SINCE_TAG = "revops/source", "revops/table", "revops/since"


@dataclass(frozen=True)
class Scope:
    """One source that a run loads; the others stay as they were loaded last."""

    source: str
    table: str | None = None
    since: datetime | None = None

    def tags(self) -> dict[str, str]:
        """As a run carries it."""
        found = {SOURCE_TAG: self.source}
        if self.table is not None:
            found[TABLE_TAG] = self.table
        if self.since is not None:
            found[SINCE_TAG] = self.since.isoformat()
        return found


def scope(
    environment: Environment, source: str | None, table: str | None, since: datetime | None
) -> Scope | None:
    """What was asked for, checked; None for a whole run.

    In: `since` without a time zone is in the company's. Raises `UserError` for what is not configured, and
    for a table or a time without a source, or a table without a time.
    """
    if source is None:
        if table is not None or since is not None:
            raise UserError("--table and --since are of one source. Name it with --source")
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
    return Scope(source, table, environment.config.company.instant(since) if since else None)


def backfill_of(tags: Mapping[str, str], source: str) -> Backfill | None:
    """What a run with these tags reads again of a source."""
    if SINCE_TAG not in tags or tags.get(SOURCE_TAG, source) != source:
        return None
    return Backfill(datetime.fromisoformat(tags[SINCE_TAG]), tags.get(TABLE_TAG))
