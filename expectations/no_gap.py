"""The one kind of expectation the gates are made of, as Great Expectations evaluates and shows it.

Importing this module imports Great Expectations, which takes seconds: do it inside functions.
"""

from __future__ import annotations

from html import escape
from typing import Any

from great_expectations.expectations.core import UnexpectedRowsExpectation
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.render import (
    CollapseContent,
    LegacyDiagnosticRendererType,
    LegacyRendererType,
    RenderedStringTemplateContent,
    RenderedTableContent,
)
from great_expectations.render.renderer.renderer import renderer

from expectations.catalogue import SAMPLE_COLUMNS, Gate

#: Rows shown of each gap type, the dearest first.
SAMPLE_ROWS = 10
_QUERY = """
select
    concat_ws(' ', silo_left, key_left) as "left", value_left,
    concat_ws(' ', silo_right, key_right) as "right", value_right, account,
    format('{{:,.2f}}', cast(money_at_risk as double)) || ' ' || currency as money
from {batch}
where gap_type = '$gap_type'
order by money_at_risk desc nulls last, key_left, key_right"""

SEVERITIES = {
    "critical": FailureSeverity.CRITICAL,
    "high": FailureSeverity.WARNING,
    "medium": FailureSeverity.INFO,
}


class ExpectNoGap(UnexpectedRowsExpectation):
    """Expects that a gate's query has found nothing; a failure shows the first rows it found.

    The rows are those of the gap register, which name no people.
    """

    def _validate(self, metrics: dict, *given: Any, **more: Any) -> Any:
        outcome = super()._validate(metrics, *given, **more)
        rows = metrics["unexpected_rows_query.table"][:SAMPLE_ROWS]
        outcome["result"]["sample"] = [dict(row) for row in rows]
        return outcome

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)
    def _prescriptive_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None, **_: Any
    ) -> list[RenderedStringTemplateContent]:
        meta = (configuration or result.expectation_config).meta
        template = "$gap_type: no $what.\nOtherwise $why. Severity $severity, for $owner: $fix."
        params = {name: meta[name] for name in ("what", "why", "severity", "owner", "fix")}
        bold = {"gap_type": {"classes": ["font-weight-bold"]}}
        return [
            RenderedStringTemplateContent(
                string_template={
                    "template": template,
                    "params": {"gap_type": meta["gap_type"], **params},
                    "styling": {"params": bold},
                }
            )
        ]

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.OBSERVED_VALUE)
    def _diagnostic_observed_value_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None, **_: Any
    ) -> str:
        found = result.result.get("observed_value", 0)
        return f"{found} found" if found else "none"

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.UNEXPECTED_TABLE)
    def _diagnostic_unexpected_table_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None, **_: Any
    ) -> list[RenderedTableContent | CollapseContent] | None:
        rows = result.result.get("sample")
        if not rows:
            return None
        shown = [name for name in SAMPLE_COLUMNS if any(row[name] for row in rows)]
        return [
            RenderedTableContent(
                header_row=[SAMPLE_COLUMNS[name] for name in shown],
                table=[[escape(row[name] or "") for name in shown] for row in rows],
                styling={"body": {"classes": ["table", "table-sm", "mt-3"]}},
            )
        ]


def expectation(gate: Gate) -> ExpectNoGap:
    """What Great Expectations is to check of a gate, in a batch of all the rows the gates have found."""
    return ExpectNoGap(
        unexpected_rows_query=_QUERY.replace("$gap_type", gate.gap_type),
        severity=SEVERITIES[gate.severity],
        meta={
            "gap_type": gate.gap_type,
            "what": gate.what,
            "why": gate.why,
            "severity": gate.severity,
            "owner": gate.owner_team,
            "fix": gate.fix,
        },
    )
