"""Splink's scores of pairs of records that are alike; only what has changed is compared again.

In: a table of features, one row per record. Out: one row per record that is new or differs from when it was
last compared: its fingerprint, and the pairs it makes with other records: {other, other_fingerprint, score,
is_linked, evidence}. A pair counts while both fingerprints are those of today, in whichever of its two rows
it stands.
"""

# Columns and tables named in the SQL are constants of this package.
# ruff: noqa: S608

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from identity.weights import LINKED, REVIEWED, Model, splink_settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

_SCORED = pa.schema(
    [
        ("record", pa.string()),
        ("fingerprint", pa.string()),
        (
            "pairs",
            pa.list_(
                pa.struct(
                    [
                        ("other", pa.string()),
                        ("other_fingerprint", pa.string()),
                        ("score", pa.float64()),
                        ("is_linked", pa.bool_()),
                        ("evidence", pa.string()),
                    ]
                )
            ),
        ),
    ]
)


def score_changed(
    session: DuckDBPyConnection, features: DuckDBPyRelation, model: Model, known: str | None
) -> pa.Table:
    """Score the changed records' pairs. `known` names the table of earlier results, None if there is none."""
    columns = ", ".join(model.columns)
    now = features.project(f"record, {_fingerprint(model)} as fingerprint, {columns}").to_arrow_table()
    session.register("identity_now", now)
    try:
        changed = "select record from identity_now"
        if known:
            changed += (
                f" anti join (select record, fingerprint from {known}) as known using (record, fingerprint)"
            )
        is_changed = session.sql(changed).to_arrow_table()
    finally:
        session.unregister("identity_now")
    if not is_changed.num_rows:
        return _SCORED.empty_table()
    with duckdb.connect() as scratch:  # Splink leaves tables behind
        scratch.register("now", now)
        scratch.register("changed", is_changed)
        blocks = ", ".join(f"{sql} as block_{n}" for n, sql in enumerate(model.blocks))
        scratch.execute(
            "create table blocked as"
            f" select now.record, fingerprint, changed.record is not null as is_changed, {columns}, {blocks}"
            " from now left join changed using (record)"
        )
        scratch.execute("create table compared as " + _neighbourhood(model))
        return _pairs(scratch, model)


def _fingerprint(model: Model) -> str:
    """Of all that a score depends on: the record's features and the model."""
    settings = hashlib.sha256(repr((LINKED, REVIEWED, splink_settings(model))).encode()).hexdigest()[:16]
    return f"cast(hash('{settings}', {', '.join(model.columns)}) as varchar)"


def _neighbourhood(model: Model) -> str:
    """The changed records and those that share a block with one."""
    same = " union ".join(
        f"select record from blocked semi join (select block_{n} from blocked where is_changed) as changed"
        f" using (block_{n})"
        for n in range(len(model.blocks))
    )
    compared = f"select record from blocked where is_changed union {same}"
    return f"select * from blocked semi join ({compared}) using (record)"


def _pairs(scratch: DuckDBPyConnection, model: Model) -> pa.Table:
    from splink import DuckDBAPI, Linker

    splink = DuckDBAPI(connection=scratch)
    linker = Linker(splink.register(scratch.table("compared")), splink_settings(model), log_level=None)
    found = linker.inference.predict(threshold_match_probability=REVIEWED).physical_name
    labels = " || ', ' || ".join(
        f"case gamma_{name.replace(' ', '_').replace('-', '_')} "
        + " ".join(f"when {len(levels) - 1 - n} then '{level[0]}'" for n, level in enumerate(levels))
        + " else '' end"
        for name, (_, levels) in model.comparisons.items()
    )
    return scratch.sql(f"""
        with pairs as (
            select record_l, record_r, round(match_probability, 6) as score, {labels} as evidence from {found}
        ),
        both_ways as (
            select record_l as record, record_r as other, * exclude (record_l, record_r) from pairs
            union all
            select record_r, record_l, * exclude (record_l, record_r) from pairs
        ),
        listed as (
            select
                both_ways.record,
                list(struct_pack(other, other_fingerprint := others.fingerprint, score,
                    is_linked := score >= {LINKED},
                    evidence := trim(regexp_replace(evidence, '(, )+', ', ', 'g'), ', ')
                ) order by other) as pairs
            from both_ways inner join blocked as others on both_ways.other = others.record
            group by both_ways.record
        )
        select record, fingerprint, coalesce(pairs, []) as pairs
        from blocked left join listed using (record)
        where is_changed
    """).to_arrow_table().cast(_SCORED)  # fmt: skip
