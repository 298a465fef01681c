"""The weekly digest: what each team has to mend, out of the published marts.

A digest is a plain dictionary, as `revops digest --format json` shows it; `digest_pages` makes pages of it.
Its week is the seven days that end with the marts' last day. It names companies, and no person.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from expectations.catalogue import GATES
from expectations.records import HIDDEN
from orchestration.environment import Environment
from orchestration.links import with_links
from orchestration.reading import Row, open_marts, rows_of
from settings.errors import UserError

#: Rows of a section; the rest are counted.
MOST = 25
WEEKS = 8
DAY = dt.timedelta(days=1)
SEVERITIES = ("critical", "high", "medium")
#: How old open gaps are: days up to, and what that is called.
AGES = ((7, "up to a week old"), (30, "up to 30 days"), (90, "up to 90 days"), (None, "older"))
_GATES = {gate.gap_type: gate for gate in GATES}
_ADDRESS = re.compile(r"[^\s@<>(),;|]+@[^\s@<>(),;|]+")

_GAPS = """
with dated as (
    select
        *,
        cast(timezone($zone, first_seen_at - interval 1 microsecond) as date) as found_on,
        case when resolved_at <= $as_of
            then cast(timezone($zone, resolved_at - interval 1 microsecond) as date)
        end as resolved_on
    from marts.silo_gaps
    where first_seen_at <= $as_of
)
select dated.*, accounts.name as account_name
from dated
left join marts.accounts as accounts on dated.account = accounts.account
where resolved_on is null or resolved_on >= $since
order by
    case severity when 'critical' then 1 when 'high' then 2 else 3 end,
    money_at_risk desc nulls last, age_days desc, gap_type, key_left, key_right"""

_TREND = """
select
    week, owner_team, cast(sum(opened) as bigint) as opened, cast(sum(reopened) as bigint) as reopened,
    cast(sum(resolved) as bigint) as resolved, cast(sum(open) as bigint) as open,
    sum(money_at_risk) as money_at_risk
from marts.gap_trend
group by all
order by week"""

_HELD = """
select distinct definitions.kpi, definitions.position, definitions.subject, definitions.silos
from marts.kpi_definitions as definitions
inner join marts.kpi_values as vals on definitions.kpi = vals.kpi
where vals.gate_status = 'held'
order by definitions.position"""


def digests(environment: Environment, owner: str | None) -> tuple[list[dict[str, Any]], list[str]]:
    """A digest for each team with a gap that is open or was resolved in the week, and the teams without one.

    Raises `UserError` for a team that does not exist, where nothing is published, or where no gap ever was.
    """
    zone = environment.config.company.timezone
    with open_marts(environment.home) as marts:
        as_of = rows_of(marts, "select max(ends_at) as as_of from marts.gap_trend")[0]["as_of"]
        known = {gate.owner_team for gate in GATES}
        known |= {
            row["owner_team"] for row in rows_of(marts, "select distinct owner_team from marts.gap_trend")
        }
        if owner is not None and owner not in known:
            raise UserError(f"--owner {owner}: there is no such team; there is {', '.join(sorted(known))}")
        teams = sorted(known) if owner is None else [owner]
        if as_of is None:
            return [], teams
        last_day = (as_of - dt.timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date()
        since = last_day - 6 * DAY
        gaps = rows_of(marts, _GAPS, {"zone": zone, "as_of": as_of, "since": since})
        trend = rows_of(marts, _TREND)
        held = rows_of(marts, _HELD)
    by_team: dict[str, list[Row]] = {team: [] for team in teams}
    for gap in with_links(environment, [gap for gap in gaps if gap["owner_team"] in by_team]):
        by_team[gap["owner_team"]].append(gap)
    made = [
        _digest(
            environment, team, its, [row for row in trend if row["owner_team"] == team], held, since, last_day
        )
        for team, its in by_team.items()
        if its
    ]
    return made, [team for team, its in by_team.items() if not its]


def _digest(
    environment: Environment,
    team: str,
    gaps: list[Row],
    trend: list[Row],
    held: list[Row],
    since: dt.date,
    last_day: dt.date,
) -> dict[str, Any]:
    still_open = [gap for gap in gaps if gap["resolved_on"] is None]
    found = [gap for gap in still_open if gap["found_on"] >= since]
    parts = {
        "new": [gap for gap in found if not gap["reopened"]],
        "came_back": [gap for gap in found if gap["reopened"]],
        "still_open": [gap for gap in still_open if gap["found_on"] < since],
        "resolved": [gap for gap in gaps if gap["resolved_on"] is not None],
    }
    year, week, _ = last_day.isocalendar()
    return {
        "company": environment.config.company.name,
        "team": team,
        "week": f"{year}-W{week:02d}",
        "since": since,
        "until": last_day,
        "currency": environment.config.company.currency,
        "open": len(still_open),
        "money_at_risk": _money(still_open),
        "by_severity": {s: sum(gap["severity"] == s for gap in still_open) for s in SEVERITIES},
        "by_age": _ages(still_open),
        "holds": _holds(still_open, held),
        "to_do": _to_do(still_open, since),
        **{name: _part(rows) for name, rows in parts.items()},
        "trend": _trend(trend),
    }


def _part(gaps: list[Row]) -> dict[str, Any]:
    """The gravest gaps, of these what is worth most, and how many more there are, with their money."""
    rest = gaps[MOST:]
    return {
        "count": len(gaps),
        "money_at_risk": _money(gaps),
        "gaps": [_shown(gap) for gap in gaps[:MOST]],
        "more": len(rest),
        "more_money": _money(rest),
    }


def _shown(gap: Row) -> dict[str, Any]:
    """What of a gap concerns who mends it. Who accepted it is a person's name, which no digest tells."""
    columns = (
        *("gap_id", "gap_type", "severity", "silo_left", "key_left", "value_left", "link_left"),
        *("silo_right", "key_right", "value_right", "link_right", "account"),
        *("money_at_risk", "currency", "found_on", "resolved_on", "age_days", "reopened"),
    )
    return {
        "what": said(gap["gap_type"]),
        **{column: gap[column] for column in columns},
        "account_name": _without_addresses(gap["account_name"]),
        "accepted_because": _without_addresses(gap["accepted_because"] if gap["accepted_at"] else None),
    }


def _without_addresses(text: str | None) -> str | None:
    """What people and vendors wrote freely, as the gates show what they find."""
    return None if text is None else _ADDRESS.sub(HIDDEN, text)


def said(gap_type: str, count: int = 2) -> str:
    """What so many gaps of a type are, in words: `deal(s)` is one deal or several deals."""
    gate = _GATES.get(gap_type)
    if gate is None:  # of an older release
        return gap_type.replace("_", " ")
    one = re.sub(r"(\w+)\((?:s|ies)\)", r"\1", gate.what)
    many = re.sub(r"(\w+)y\(ies\)", r"\1ies", re.sub(r"(\w+)\(s\)", r"\1s", gate.what))
    return one if count == 1 else many


def _to_do(gaps: list[Row], since: dt.date) -> list[dict[str, Any]]:
    """What mends the gaps of each type, the most urgent first."""
    types: dict[str, list[Row]] = {}
    for gap in gaps:
        types.setdefault(gap["gap_type"], []).append(gap)
    rows = []
    for gap_type, its in types.items():
        gate = _GATES.get(gap_type)
        rows.append(
            {
                "gap_type": gap_type,
                "severity": its[0]["severity"],
                "what": said(gap_type),
                "why": gate.why if gate else "",
                "fix": gate.fix if gate else "",
                "count": len(its),
                "new": sum(gap["found_on"] >= since for gap in its),
                "money_at_risk": _money(its),
                "oldest_age_days": max(gap["age_days"] for gap in its),
            }
        )
    return sorted(rows, key=lambda row: (SEVERITIES.index(row["severity"]), -row["money_at_risk"]))


def _holds(gaps: list[Row], held: list[Row]) -> list[dict[str, Any]]:
    """Which gap types keep which KPIs at their last good value."""
    subjects: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for gap in gaps:
        if gap["holds"]:
            subjects.setdefault(gap["gap_type"], set()).update(gap["holds"].split(", "))
            counts[gap["gap_type"]] = counts.get(gap["gap_type"], 0) + 1
    rows = []
    for gap_type, its in subjects.items():
        kpis = [
            row["kpi"]
            for row in held
            if its & {row["subject"], *(f"silo:{silo}" for silo in row["silos"].split(", "))}
        ]
        if kpis:
            rows.append(
                {
                    "gap_type": gap_type,
                    "what": said(gap_type, counts[gap_type]),
                    "count": counts[gap_type],
                    "kpis": kpis,
                }
            )
    return rows


def _ages(gaps: list[Row]) -> list[dict[str, Any]]:
    rows, above = [], -1
    for limit, name in AGES:
        its = [gap for gap in gaps if gap["age_days"] > above and (limit is None or gap["age_days"] <= limit)]
        rows.append({"age": name, "count": len(its), "money_at_risk": _money(its)})
        above = limit or 0
    return rows


def _trend(rows: list[Row]) -> list[dict[str, Any]]:
    kept = rows[-WEEKS:]
    return [{column: value for column, value in row.items() if column != "owner_team"} for row in kept]


def _money(gaps: Sequence[Row]) -> Decimal:
    return sum((gap["money_at_risk"] or Decimal(0) for gap in gaps), Decimal(0))
