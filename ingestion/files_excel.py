"""Spreadsheets (.xlsx, .xlsb, .xls, .ods) as tables of text, like any other file of a mapping.

A sheet's first row that is not empty, after `skip` rows, has the column names. Numbers are written plainly,
dates and times in ISO 8601, so that a mapping's expressions read them as they would read a CSV export.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from python_calamine import CalamineError, CalamineWorkbook

OPTIONS = ("sheet", "skip")


class UnreadableError(Exception):
    """What is wrong with a file, or with the options that say how to read it."""


def read_sheets(paths: tuple[Path, ...], options: dict[str, Any]) -> pa.Table:
    """The same sheet of every file, one below the other, columns matched by name.

    In: `sheet`, its name or number from 1 (default: the first), and `skip`, rows above the column names.
    Out: text columns; an empty cell is NULL. Raises `UnreadableError`.
    """
    unknown = sorted(options.keys() - set(OPTIONS))
    if unknown:
        raise UnreadableError(f"option {unknown[0]!r} is unknown; a spreadsheet has {', '.join(OPTIONS)}")
    tables = [_read(path, options.get("sheet", 1), options.get("skip", 0)) for path in paths]
    return pa.concat_tables(tables, promote_options="default")


def _read(path: Path, sheet: Any, skip: Any) -> pa.Table:
    if not isinstance(skip, int) or skip < 0:
        raise UnreadableError(f"skip = {skip!r} is no number of rows")
    try:
        book = CalamineWorkbook.from_path(path)
        names = book.sheet_names
        if isinstance(sheet, int) and 1 <= sheet <= len(names):
            name = names[sheet - 1]
        elif sheet in names:
            name = sheet
        else:
            raise UnreadableError(f"{path.name} has no sheet {sheet!r}; it has {', '.join(names)}")
        rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)[skip:]
    except (CalamineError, OSError) as exc:
        raise UnreadableError(f"{path.name} is no whole spreadsheet: {exc}. Export it again") from exc
    filled = [row for row in rows if any(cell not in ("", None) for cell in row)]
    if not filled:
        raise UnreadableError(f"{path.name}: sheet {name!r} is empty")
    head, *body = filled
    columns = {str(title).strip(): place for place, title in enumerate(head) if str(title).strip()}
    if len(columns) < sum(1 for title in head if str(title).strip()):
        raise UnreadableError(f"{path.name}: sheet {name!r} has two columns of one name")
    return pa.table(
        {
            title: pa.array([_text(row[place]) for row in body], pa.string())
            for title, place in columns.items()
        }
    )


def _text(cell: Any) -> str | None:
    if cell == "" or cell is None:
        return None
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, datetime):
        is_day = cell.time() == time()
        return cell.date().isoformat() if is_day else cell.isoformat(sep=" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell.total_seconds())
    return str(cell)
