"""The instant a run is for. Every figure is as of it; nothing downstream looks at a clock."""

from __future__ import annotations

from datetime import UTC, datetime

from orchestration.environment import Environment

#: A run with this tag is for that instant: how a backfill is asked for in Dagster's UI.
AS_OF_TAG = "revops/as_of"


def as_of(environment: Environment, tag: str | None, started_at: datetime) -> datetime:
    """`tag`, else `as_of` of revops.toml, else the sandbox company's clock, else the run's start; in UTC."""
    if tag:
        return datetime.fromisoformat(tag).astimezone(UTC)
    config = environment.config
    if config.company.as_of_instant is not None:
        return config.company.as_of_instant.astimezone(UTC)
    if config.sandbox is not None:
        from sandbox.state import read_state

        return read_state(environment.home.sandbox).now
    return started_at.astimezone(UTC)
