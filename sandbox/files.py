"""Writes what finance keeps in spreadsheets as CSV files with the finance contract's column names."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sandbox.world import World

#: File -> columns; each is the field of the same name, `campaign_id` is empty here.
COLUMNS = {
    "spend": [
        *("spend_id", "month", "team", "category", "channel", "campaign_id"),
        *("amount", "currency", "is_acquisition"),
    ],
    "quotas": ["quota_id", "owner_id", "team", "period_start", "period_end", "amount", "currency"],
    "forecasts": [
        *("forecast_id", "owner_id", "team", "category", "period_start", "period_end"),
        *("submitted_at", "amount", "currency"),
    ],
    "fx_rates": ["rate_date", "currency", "rate"],
}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, date) else str(value)


def _csv(columns: Sequence[str], records: Iterable[Any]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    key = columns[0]
    for record in records:
        fields = ("id" if name == key and hasattr(record, "id") else name for name in columns)
        writer.writerow([_text(getattr(record, name, None)) for name in fields])
    return out.getvalue().encode()


def write_finance(world: World, folder: Path) -> list[Path]:
    """Write spend, quotas, forecasts and fx_rates .csv; a file that would not change is left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, columns in COLUMNS.items():
        path, content = folder / f"{name}.csv", _csv(columns, getattr(world.finance, name))
        if not path.exists() or path.read_bytes() != content:
            part = path.with_suffix(".csv.part")
            part.write_bytes(content)
            part.replace(path)
        written.append(path)
    return written
