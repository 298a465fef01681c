"""What a run leaves for Prometheus: `metrics/revops.prom`, for the textfile collector of node_exporter.

It has the published figures, how much every source brought and when, what is open in the register, and how
long the run's steps took. Nobody's name or address is in it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from orchestration import reading
from orchestration.environment import Environment
from orchestration.publish import published
from settings.errors import UserError
from settings.paths import Home


def write(environment: Environment, steps: Mapping[str, float], failed: Collection[str]) -> Path:
    """Write the file in one move: of this run, and of what is published, by this run or an earlier one.

    In: the seconds of each step, and those that failed. What cannot be read at the moment is left out. Raises
    OSError if the file cannot be written.
    """
    registry = CollectorRegistry()
    _of_the_run(registry, steps, failed)
    _of_the_sources(registry, environment)
    _of_the_marts(registry, environment.home)
    path = environment.home.metrics
    path.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(path), registry)
    return path


def _of_the_run(registry: CollectorRegistry, steps: Mapping[str, float], failed: Collection[str]) -> None:
    gauge = _Gauges(registry)
    gauge("run_end_timestamp_seconds", "When the last run ended, well or not", time.time())
    gauge("run_seconds", "How long the steps of the last run took together", sum(steps.values()))
    gauge.each("step_seconds", "How long each step of the last run took", ("step",), steps.items())
    gauge.each(
        "step_failed",
        "1 if the step failed in the last run",
        ("step",),
        ((one, one in failed) for one in steps),
    )


def _of_the_sources(registry: CollectorRegistry, environment: Environment) -> None:
    now = datetime.now(UTC)
    lasts: list[tuple[Any, ...]] = []
    rows: list[tuple[Any, ...]] = []
    for name, source in environment.config.sources.items():
        try:
            loaded = reading.loads(environment.home, name)
        except (UserError, duckdb.Error):  # a run that was cut off has it open still
            continue
        if loaded is None:
            continue
        if loaded["last_load"] is not None:
            lasts.append((name, source.silo, loaded["last_load"]))
        rows += [(name, table, count) for table, count in loaded["rows"].items()]
    gauge = _Gauges(registry)
    gauge.each(
        "source_last_load_timestamp_seconds",
        "When the source was last loaded without a fault",
        ("source", "silo"),
        ((name, silo, last.timestamp()) for name, silo, last in lasts),
    )
    gauge.each(
        "source_lag_seconds",
        "How long before the end of the last run that was",
        ("source", "silo"),
        ((name, silo, (now - last).total_seconds()) for name, silo, last in lasts),
    )
    gauge.each("raw_rows", "Rows by raw table", ("source", "table"), rows)


def _of_the_marts(registry: CollectorRegistry, home: Home) -> None:
    publication = published(home)
    if publication is None:
        return
    as_of, at = publication
    gauge = _Gauges(registry)
    gauge("published_timestamp_seconds", "When the marts were last published", at.timestamp())
    gauge("published_as_of_timestamp_seconds", "The instant that they are of", as_of.timestamp())
    gauge.each("mart_rows", "Rows by published mart", ("mart",), reading.mart_rows(home).items())
    latest = reading.latest_headlines(home)
    gauge.each(
        "kpi_value",
        "Headline KPIs: the newest published value by length of period",
        ("kpi", "period"),
        ((row["kpi"], row["period"], row["value"]) for row in latest),
    )
    gauge.each(
        "kpi_period_start_timestamp_seconds",
        "When the period of that value began",
        ("kpi", "period"),
        ((row["kpi"], row["period"], _midnight(row["period_start"])) for row in latest),
    )
    held = set(reading.held_kpis(home))
    gauge.each(
        "kpi_held",
        "1 if a gate holds the headline KPI at its last good value",
        ("kpi",),
        ((kpi, kpi in held) for kpi in reading.headlines(home)),
    )
    gaps = reading.open_gaps(home)
    gauge.each(
        "open_gaps",
        "Open gaps between the silos",
        ("severity", "gap_type"),
        ((row["severity"], row["gap_type"], row["gaps"]) for row in gaps),
    )
    gauge.each(
        "open_gaps_money_at_risk",
        "What open gaps put at risk, in the reporting currency",
        ("severity", "gap_type", "currency"),
        (
            (row["severity"], row["gap_type"], row["currency"], row["money_at_risk"])
            for row in gaps
            if row["money_at_risk"] is not None
        ),
    )


def _midnight(day: Any) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class _Gauges:
    """Registers gauges, all of which begin with the project's name."""

    registry: CollectorRegistry

    def __call__(self, name: str, said: str, value: Any) -> None:
        Gauge(f"revops_{name}", said, registry=self.registry).set(float(value))

    def each(self, name: str, said: str, labels: tuple[str, ...], samples: Iterable[tuple[Any, ...]]) -> None:
        """One sample for each combination of labels; the value comes last."""
        gauge = Gauge(f"revops_{name}", said, labels, registry=self.registry)
        for *given, value in samples:
            gauge.labels(*given).set(float(value))
