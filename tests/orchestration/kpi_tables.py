"""The tables that publication reads of KPIs, without a row."""

from __future__ import annotations

#: Table -> its columns, as far as they are read.
KPIS = {
    "marts.kpi_values": "kpi text, period text, period_start date, segment text, segment_value text,"
    " numerator decimal(38, 12), denominator decimal(38, 12), value decimal(38, 12), unit text,"
    " coverage decimal(9, 6), gate_status text",
    "core.kpi_records": "kpi text, period text, period_start date, record_type text, source text,"
    " record_id text, account text, segments map(text, text), numerator decimal, denominator decimal",
    "core.calendar": "period text, period_start date, period_end date, is_complete boolean",
}
