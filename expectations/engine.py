"""Runs the gates on a warehouse: finds, judges, registers."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations import coverage, facts, register
from expectations.catalogue import GATES, Gate
from expectations.erased import Erased, read
from expectations.facts import Source
from expectations.register import Acceptance

if TYPE_CHECKING:
    from expectations.duckdb_engine import Session
    from settings.config import Config
    from settings.paths import Home

#: A critical gap holds KPIs once its money at risk passes this share of its KPI.
HOLD_SHARE = Decimal("0.01")

#: Where a gate stands -> the suite it is shown in.
PLACES = {
    "source": "1 doors",
    "seam": "2 seams",
    "kpi": "3 KPIs",
}

_FOUND = """
create temp table gate_found (
    gap_type text, silo_left text, key_left text, value_left text, silo_right text, key_right text,
    value_right text, account text, owner_team text, severity text, money_at_risk decimal(18, 4),
    currency text, grace_until timestamptz, gap_key text
)"""

# Whatever an id or a value is made of in the vendor's system, no e-mail address gets past here.
_HIDE = r"""
create temp macro gate_hide(value) as
    regexp_replace(value, '[^\s@<>(),;|]+@[^\s@<>(),;|]+', '(e-mail address)', 'g')"""

_FIND = """
insert into gate_found by name
with found as (
    select
        null::text as silo_left, null::text as silo_right, null::text as key_right, null::text as value_right,
        null::text as account, null::decimal(18, 4) as money_at_risk, null::timestamptz as grace_until
    where false
    union all by name
    ($query)
),
complete as (
    select * replace (
        coalesce(silo_left, $silo_left) as silo_left, coalesce(silo_right, $silo_right) as silo_right
    )
    from found
)
select
    $gap_type as gap_type, $owner_team as owner_team, $severity as severity,
    silo_left, gate_hide(key_left) as key_left, gate_hide(value_left) as value_left,
    silo_right, gate_hide(key_right) as key_right, gate_hide(value_right) as value_right,
    account, cast(money_at_risk as decimal(18, 4)) as money_at_risk,
    case when money_at_risk is not null then (select currency from gate_run) end as currency, grace_until,
    md5(concat_ws('|', $gap_type, coalesce(silo_left, ''), coalesce(key_left, ''),
        coalesce(silo_right, ''), coalesce(key_right, ''))) as gap_key
from complete"""

# What somebody has accepted holds nothing back until it is resolved; should it come back, it is a new gap.
_MONEY = """
with accepted as (
    select gap_key from gaps.register where resolved_at is null and accepted_at is not null
)
select
    gap_type,
    coalesce(sum(money_at_risk), 0),
    count(*) filter (where gap_key not in (from accepted)),
    coalesce(sum(money_at_risk) filter (where gap_key not in (from accepted)), 0)
from gate_found
group by gap_type"""

_EXAMPLES = """
select
    silo_left || ' ' || key_left, value_left, nullif(concat_ws(' ', silo_right, key_right), ''), value_right
from gate_found
where gap_type = $gap_type
order by money_at_risk desc nulls last, key_left, key_right
limit 3"""


@dataclass(frozen=True)
class GateResult:
    """What one gate found."""

    gap_type: str
    place: str
    severity: str
    owner_team: str
    passed: bool
    found: int
    money_at_risk: Decimal
    base: Decimal | None  # the KPI amount the money is compared with
    holds: bool  # whether it keeps the KPIs it touches at their last good value
    message: str
    sample: list[dict[str, str | None]]  # the first rows found: `catalogue.SAMPLE_COLUMNS`


@dataclass(frozen=True)
class GateReport:
    """What all gates found, and Great Expectations' own summary of it."""

    results: list[GateResult]
    validation: dict[str, Any] = field(default_factory=dict)

    @property
    def held(self) -> bool:
        """Whether any gate holds KPIs back."""
        return any(result.holds for result in self.results)


def run_gates(
    home: Home, config: Config, as_of: datetime, acceptance: Acceptance | None = None
) -> GateReport:
    """Evaluate every gate whose silos are configured and bring the register up to date.

    In: the warehouse with contract, identity and core models built; the gaps somebody accepts as they are, if
    any. Out: the report; `gaps.register` in the warehouse, and its copy in the file `home.register`, all or
    nothing; then Great Expectations' own pages about it in `home.docs`.
    """
    sources = [
        Source(source.name, source.silo, source.type == "files", source.max_age_days)
        for source in config.sources.values()
    ]
    return evaluate(
        home.warehouse,
        home.register,
        sources,
        as_of,
        config.company.currency,
        config.thresholds.hold_share,
        config.company.timezone,
        acceptance,
        home.docs,
        read(home.erased),
    )


def evaluate(
    warehouse: Path,
    register_file: Path,
    sources: Sequence[Source],
    as_of: datetime,
    currency: str,
    hold_share: Decimal = HOLD_SHARE,
    timezone: str = "UTC",
    acceptance: Acceptance | None = None,
    docs: Path | None = None,
    erased: Erased | None = None,
) -> GateReport:
    """Evaluate the gates on a warehouse file; their Data Docs go to the folder `docs`. See `run_gates`."""
    from expectations.duckdb_engine import Session  # imports Great Expectations: seconds

    silos = {source.silo for source in sources}
    gates = [gate for gate in GATES if silos.issuperset(gate.needs)]
    written: Path | None = None
    try:
        with Session(warehouse, timezone, docs) as session:
            facts.prepare(session, sources, as_of, currency, erased or Erased())
            register.create(session)
            coverage.measure(session, as_of)
            _find(session, gates)
            validation = _validate(session, gates, as_of)
            register.merge(session, [gate.gap_type for gate in gates], as_of)
            if acceptance is not None:
                register.accept(session, acceptance, as_of)
            results = _judge(session, gates, validation, hold_share, currency)
            holding = {result.gap_type for result in results if result.holds}
            register.hold(
                session, {gate.gap_type: gate.touches for gate in gates if gate.gap_type in holding}
            )
            written = register.export(session, register_file)
        os.replace(written, register_file)  # noqa: PTH105
        session.build_docs()
    except BaseException:
        if written is not None:
            written.unlink(missing_ok=True)
        raise
    return GateReport(results, validation)


def _find(session: Session, gates: Collection[Gate]) -> None:
    """Run each gate's query once, inside DuckDB, into `gate_found`."""
    session.run(_FOUND)
    session.run(_HIDE)
    for gate in gates:
        session.run(
            _FIND.replace("$query", gate.sql),
            {
                "gap_type": gate.gap_type,
                "owner_team": gate.owner_team,
                "severity": gate.severity,
                "silo_left": gate.silo_left,
                "silo_right": gate.silo_right,
            },
        )


def _validate(session: Session, gates: Collection[Gate], as_of: datetime) -> dict[str, Any]:
    """Let Great Expectations say which gates are broken: it expects no row of any of them."""
    from expectations.no_gap import expectation

    suites = {
        title: [expectation(gate) for gate in gates if gate.place == place] for place, title in PLACES.items()
    }
    outcomes = session.validate(
        "select * from gate_found", {title: found for title, found in suites.items() if found}, as_of
    )
    counts: dict[str, int] = {}
    samples: dict[str, list[dict[str, str | None]]] = {}
    for result in chain.from_iterable(outcome.results for outcome in outcomes):
        if result.expectation_config is None or result.exception_info["raised_exception"]:
            raise RuntimeError(f"Great Expectations could not evaluate a gate: {result.exception_info}")
        gap_type = result.expectation_config.meta["gap_type"]
        counts[gap_type], samples[gap_type] = result.result["observed_value"], result.result["sample"]
    return {
        "success": all(outcome.success for outcome in outcomes),
        "unexpected_rows": counts,
        "samples": samples,
    }


def _judge(
    session: Session, gates: Collection[Gate], validation: dict[str, Any], hold_share: Decimal, currency: str
) -> list[GateResult]:
    sums = {row[0]: row[1:] for row in session.rows(_MONEY)}
    results = []
    for gate in gates:
        found = validation["unexpected_rows"][gate.gap_type]
        at_risk, counting, money_counting = sums.get(gate.gap_type, (Decimal(0), 0, Decimal(0)))
        base = Decimal(session.rows(gate.base)[0][0]) if gate.base else None
        holds = False
        if counting and gate.severity == "critical":
            holds = gate.holds_whenever_found or money_counting > hold_share * (base or 0)
        results.append(
            GateResult(
                gap_type=gate.gap_type,
                place=gate.place,
                severity=gate.severity,
                owner_team=gate.owner_team,
                passed=found == 0,
                found=found,
                money_at_risk=at_risk,
                base=base,
                holds=holds,
                message=_message(
                    session, gate, found, found - counting, at_risk, base, holds, hold_share, currency
                ),
                sample=validation["samples"][gate.gap_type],
            )
        )
    return results


def _message(
    session: Session,
    gate: Gate,
    found: int,
    accepted: int,
    at_risk: Decimal,
    base: Decimal | None,
    holds: bool,
    hold_share: Decimal,
    currency: str,
) -> str:
    """What is wrong, where, how to fix it, who does."""
    if not found:
        return f"{gate.gap_type}: nothing found"
    parts = [f"{gate.gap_type}: {found} {gate.what}"]
    examples = session.rows(_EXAMPLES, {"gap_type": gate.gap_type})
    parts.append("for example " + "; ".join(" - ".join(filter(None, row)) for row in examples))
    if at_risk:
        share = f", {100 * at_risk / base:.2f} % of {base:,.2f}" if base else ""
        parts.append(f"{at_risk:,.2f} {currency} at risk{share}")
    if accepted:
        parts.append(f"{accepted} of them accepted")
    if holds:
        limit = "" if gate.holds_whenever_found else f": more than {100 * hold_share:.4g} %"
        parts.append(f"holds back {', '.join(gate.touches) or 'KPIs of the silo'}{limit}")
    otherwise = f". Or publish all the same: --accept {gate.gap_type} --reason" if holds else ""
    parts.append(f"{gate.why}. Fix ({gate.owner_team}): {gate.fix}{otherwise}. All of them: revops gaps")
    return ". ".join(parts)
