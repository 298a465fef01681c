"""Why a figure is no longer what was published first of its period: the records that came, went or changed.

Reads the warehouse of this machine, as `orchestration.explain` does.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from orchestration.explain_screen import MOST, plain
from orchestration.reading import Row, open_warehouse, rows_of
from orchestration.screens import figure
from settings.errors import UserError
from settings.paths import Home

_OF_FIGURE = "kpi = $kpi and period = $period and period_start = $period_start"
_MOVED = f"""
with

found as (
    from reported.kpi_records where {_OF_FIGURE} and ($segment = 'all' or segments[$segment] = $segment_value)
),

earlier as (
    select record_type, source, record_id, any_value(account) as account,
        sum(numerator) as numerator, sum(denominator) as denominator
    from found
    group by all
),

now as (
    select record_type, source, record_id, any_value(account) as account,
        sum(numerator) as numerator, sum(denominator) as denominator
    from core.kpi_records
    where {_OF_FIGURE} and ($segment = 'all' or segments[$segment] = $segment_value)
    group by all
)

select
    case
        when earlier.record_id is null then 'added'
        when now.record_id is null then 'removed'
        else 'changed'
    end as moved,
    coalesce(now.record_type, earlier.record_type) as record_type,
    coalesce(now.source, earlier.source) as source,
    coalesce(now.record_id, earlier.record_id) as record_id,
    coalesce(now.account, earlier.account) as account,
    accounts.name,
    earlier.numerator as numerator_reported,
    now.numerator as numerator,
    earlier.denominator as denominator_reported,
    now.denominator as denominator
from earlier
full join now
    on earlier.record_type = now.record_type and earlier.record_id = now.record_id
    and earlier.source is not distinct from now.source
left join identity.accounts on coalesce(now.account, earlier.account) = accounts.account
where earlier.numerator is distinct from now.numerator or earlier.denominator is distinct from now.denominator
order by
    abs(coalesce(now.numerator, 0) - coalesce(earlier.numerator, 0)) desc,
    abs(coalesce(now.denominator, 0) - coalesce(earlier.denominator, 0)) desc, record_type, source, record_id
"""  # noqa: S608
_SUMS = f"""
select coalesce(sum(numerator), 0) as numerator, sum(denominator) as denominator
from reported.kpi_records
where {_OF_FIGURE} and ($segment = 'all' or segments[$segment] = $segment_value)
"""  # noqa: S608
_REPORTED = f"""
select numerator, denominator, value, unit, reported_at
from reported.kpi_reported
where {_OF_FIGURE} and segment = $segment and segment_value = $segment_value
"""  # noqa: S608


def restated(home: Home, answer: Row) -> Row:
    """What was first published of a figure that `explain` answered, as `reported`; `records` moved it since.

    A KPI made of others has `parts` instead, each as first published and now. `records` is None, too, where
    those of the first publication were not kept. Raises `UserError` for a period that was never published
    complete.
    """
    named = {key: answer[key] for key in ("kpi", "period", "period_start", "segment", "segment_value")}
    with open_warehouse(home) as connection:
        kept = rows_of(
            connection, "select count(*) as n from duckdb_tables() where schema_name = 'reported'"
        )[0]["n"]
        published = rows_of(connection, _REPORTED, named) if kept else []
        if not published:
            raise UserError(
                f"--restated: {answer['kpi']} of {answer['period_name']} has not been published since the"
                " period ended, so nothing is restated"
            )
        reported = published[0]
        parts, records = [], None
        for part in answer["parts"]:
            found = rows_of(connection, _REPORTED, named | {"kpi": part["kpi"]})
            parts.append({**part, "reported": found[0]["value"] if found else None})
        if not parts:
            sums = rows_of(connection, _SUMS, named)[0]
            if sums["denominator"] is None:  # what is no ratio, or over nothing
                sums["denominator"] = reported["denominator"] if reported["denominator"] in (0, 1) else None
            if sums == {key: reported[key] for key in sums}:
                records = rows_of(connection, _MOVED, named)
    return {**answer, "reported": reported, "parts": parts, "records": records}


def record_rows(answer: Row) -> list[Row]:
    """The records that moved a figure, for a CSV file. Raises `UserError` where they are not known."""
    if answer["records"] is None:
        raise UserError(_unknown(answer))
    return list(answer["records"])


def parts(answer: Row) -> Iterator[RenderableType]:
    """An answer of `restated`, part by part."""
    whose = "" if answer["segment"] == "all" else f", {answer['segment']} {answer['segment_value']}"
    yield f"[bold]{answer['kpi']}[/bold]  {escape(answer['period_name'] + whose)}"
    table = Table("", "value", "numerator", "denominator")
    reported = answer["reported"]
    for name, row in ((f"as reported {reported['reported_at']:%Y-%m-%d}", reported), ("now", answer)):
        table.add_row(
            *(name, figure(row["value"], row["unit"]), plain(row["numerator"])), plain(row["denominator"])
        )
    yield table
    if answer["parts"]:
        made_of = Table("made of", "as reported", "now")
        for part in answer["parts"]:
            made_of.add_row(part["kpi"], *(plain(part[key]) for key in ("reported", "value")))
        yield made_of
    if answer["records"] is None:
        yield _unknown(answer)
        return
    moved = Table(title=f"Records that moved it: {len(answer['records'])}", title_justify="left")
    for column in ("", "record", "account", "numerator", "denominator"):
        moved.add_column(column)
    for row in answer["records"][:MOST]:
        record = " ".join(str(row[key]) for key in ("record_type", "source", "record_id") if row[key])
        moved.add_row(
            *(row["moved"], record, row["name"] or row["account"] or "-"),
            *(
                f"{plain(row[f'{side}_reported'])} -> {plain(row[side])}"
                for side in ("numerator", "denominator")
            ),
        )
    yield moved
    if len(answer["records"]) > MOST:
        yield f"The {MOST} that moved it most; --format csv has all."


def _unknown(answer: Row) -> str:
    if answer["parts"]:
        return f"{answer['kpi']} is no sum over records. Ask for what it is made of: {answer['made_of']}"
    return (
        "Which records moved it is not known: those of its first publication were not kept,"
        " as the period had ended long before"
    )
