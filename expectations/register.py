"""The gap register: one row per gap ever found, with its whole life.

A gap found again stays the same row; one that is gone gets `resolved_at`; one that returns opens a new row.
Every time in it comes from `as_of`, so that a rerun changes nothing. A run for an earlier `as_of` than the
register has seen can move `first_seen_at` back, and never undoes what later runs found.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from expectations.duckdb_engine import Session


@dataclass(frozen=True)
class Acceptance:
    """Whose decision it is that gaps of some types, as they are now, hold no figures back, and why."""

    gap_types: tuple[str, ...]
    by: str
    because: str


CREATE = """
create table if not exists gaps.register (
    gap_id text primary key,
    gap_type text not null,
    silo_left text,
    key_left text,
    value_left text,
    silo_right text,
    key_right text,
    value_right text,
    account text,
    owner_team text not null,
    severity text not null,
    money_at_risk decimal(18, 4),
    currency text,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    resolved_at timestamptz,
    grace_until timestamptz,
    gap_key text not null
)"""

#: What registers of older releases lack, in the order of new ones.
_ADDED = {
    "holds": "text",  # what its type holds back: subjects of KPIs, or silo:<name> for all of a silo
    "accepted_at": "timestamptz",
    "accepted_by": "text",
    "accepted_because": "text",
}

# A gap's present row is the one that no later run has closed.
_MATCH = """
create or replace temp table gate_matches as
select found.*, present.gap_id, present.resolved_at > $as_of as is_history
from (
    select * from gate_found
    qualify row_number() over (partition by gap_key order by money_at_risk desc nulls last, value_left) = 1
) as found
left join (
    select * from gaps.register
    where resolved_at is null or resolved_at >= $as_of
    qualify row_number() over (partition by gap_key order by first_seen_at, gap_id) = 1
) as present
    on found.gap_key = present.gap_key"""

_STEPS = (
    """
update gaps.register as register
set
    value_left = found.value_left,
    value_right = found.value_right,
    account = found.account,
    owner_team = found.owner_team,
    severity = found.severity,
    money_at_risk = found.money_at_risk,
    currency = found.currency,
    grace_until = found.grace_until,
    first_seen_at = least(register.first_seen_at, $as_of),
    last_seen_at = $as_of,
    resolved_at = null
from gate_matches as found
where
    found.gap_id = register.gap_id
    and not coalesce(found.is_history, false)
    and register.last_seen_at <= $as_of""",
    """
update gaps.register as register
set first_seen_at = least(register.first_seen_at, $as_of)
from gate_matches as found
where found.gap_id = register.gap_id""",
    """
update gaps.register as register
set resolved_at = $as_of
where
    resolved_at is null
    and last_seen_at <= $as_of
    and gap_type in (select gap_type from gate_evaluated)
    and gap_key not in (select gap_key from gate_found)""",
    """
insert into gaps.register by name
select
    md5(found.gap_key || '|' || (
        select count(*) from gaps.register as former where former.gap_key = found.gap_key
    )) as gap_id,
    found.gap_type, found.silo_left, found.key_left, found.value_left,
    found.silo_right, found.key_right, found.value_right,
    found.account, found.owner_team, found.severity, found.money_at_risk, found.currency,
    $as_of as first_seen_at, $as_of as last_seen_at, found.grace_until, found.gap_key
from gate_matches as found
where found.gap_id is null
order by gap_id""",
)

_HOLD = """
update gaps.register
set holds = coalesce(
    $touches, concat_ws(', ', 'silo:' || silo_left, 'silo:' || nullif(silo_right, silo_left))
)
where
    gap_key in (select gap_key from gate_found where gap_type = $gap_type)
    and resolved_at is null
    and accepted_at is null"""

_ACCEPT = """
update gaps.register
set accepted_at = $as_of, accepted_by = $by, accepted_because = $because
where
    gap_key in (select gap_key from gate_found where gap_type = $gap_type)
    and resolved_at is null
    and accepted_at is null"""

_EXPORT = """
copy (from gaps.register order by gap_type, key_left, key_right, first_seen_at, gap_id)
to '$file' (format parquet)"""


def create(session: Session) -> None:
    """Make the register in the warehouse, if it is not there."""
    session.run("create schema if not exists gaps")
    session.run(CREATE)
    for column, kind in _ADDED.items():
        session.run(f"alter table gaps.register add column if not exists {column} {kind}")


def merge(session: Session, evaluated: Iterable[str], as_of: datetime) -> None:
    """Bring the register, which `create` has made, up to date with the rows of `gate_found`.

    Only gaps of the types that were `evaluated` can be resolved.
    """
    session.run("create or replace temp table gate_evaluated (gap_type text)")
    for gap_type in evaluated:
        session.run("insert into gate_evaluated values ($gap_type)", {"gap_type": gap_type})
    for statement in (_MATCH, *_STEPS):
        session.run(statement, {"as_of": as_of})


def hold(session: Session, holding: Mapping[str, Sequence[str]]) -> None:
    """Write down which gaps hold what back: gap type -> subjects of KPIs, none for all of the silos found."""
    session.run("update gaps.register set holds = null where holds is not null")
    for gap_type, touches in holding.items():
        session.run(_HOLD, {"gap_type": gap_type, "touches": ", ".join(touches) or None})


def accept(session: Session, acceptance: Acceptance, as_of: datetime) -> None:
    """Write down who takes the open gaps of some types for what they are; they hold nothing while open."""
    for gap_type in acceptance.gap_types:
        given = {"gap_type": gap_type, "by": acceptance.by, "because": acceptance.because, "as_of": as_of}
        session.run(_ACCEPT, given)


def export(session: Session, file: Path) -> Path:
    """Write the register to a Parquet file next to `file`; `os.replace` it there once committed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    written = file.with_name(f".{file.name}.{os.getpid()}")
    session.run(_EXPORT.replace("$file", str(written).replace("'", "''")))
    return written
