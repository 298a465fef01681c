"""What alerts say: of a run that failed, and of gates that hold KPIs back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from expectations.catalogue import GATES
from orchestration import reading
from orchestration.alert_delivery import Alert
from orchestration.environment import Environment
from orchestration.faults import fault
from orchestration.gates import read_verdict
from orchestration.keys import PUBLISHED
from settings.errors import UserError

#: Whose it is when an asset has no owner: what is technical.
NO_OWNER = "data_engineering"
TEAM = "team:"
PUBLISHED_ALL_THE_SAME = "The marts are published all the same, out of what was loaded last."
#: Of a step that writes many assets, how many are named; of a cause, how much is said.
MOST_NAMED, MOST_SAID = 3, 1500

Keys = Sequence[dg.AssetKey]


def failure(
    environment: Environment,
    instance: dg.DagsterInstance,
    run_id: str,
    owners: Mapping[dg.AssetKey, Sequence[str]],
) -> Alert | None:
    """What failed in a run, why, whose it is and where to look. None if the run is not known any more.

    In: `owners`, asset -> its owners, as the graph has them.
    """
    run = instance.get_run_by_id(run_id)
    if run is None:
        return None
    kinds = dg.DagsterEventType
    interesting = {
        *(kinds.STEP_FAILURE, kinds.RUN_FAILURE),
        *(kinds.ASSET_MATERIALIZATION_PLANNED, kinds.ASSET_MATERIALIZATION),
    }
    events = [entry.dagster_event for entry in instance.all_logs(run_id, of_type=interesting)]
    planned: dict[str, list[dg.AssetKey]] = {}
    written = set()
    failed: dict[str, Any] = {}
    reason = None
    for event in filter(None, events):
        if event.event_type == kinds.ASSET_MATERIALIZATION_PLANNED:
            planned.setdefault(event.step_key or "", []).append(
                event.asset_materialization_planned_data.asset_key
            )
        elif event.event_type == kinds.ASSET_MATERIALIZATION:
            written.add(event.asset_key)
        elif event.event_type == kinds.STEP_FAILURE:
            failed[event.step_key or ""] = event.step_failure_data.error
        else:
            data = event.event_specific_data
            reason = _cause(getattr(data, "error", None)) or event.message
    parts = []
    for step, error in failed.items():
        keys = [key for key in planned.get(step, []) if key not in written] or planned.get(step, [])
        teams = _teams(owner for key in keys for owner in owners.get(key, ()))
        named = f" ({_named(keys)})" if keys else ""
        parts.append(f"{step}{named}, for {teams}:\n{_cause(error) or 'it does not say why'}")
    if not failed:
        parts.append(f"For {NO_OWNER}: {reason or 'Dagster does not say why'}")
    what = ", ".join(failed) or "the run itself"
    return Alert(
        "failure",
        f"{run.job_name} failed: {what}",
        "\n\n".join(
            [
                f"{environment.config.company.name}: a run of {run.job_name} failed. "
                + (PUBLISHED_ALL_THE_SAME if PUBLISHED in written else "What was published stays."),
                *parts,
                f"{environment.config.alerts.ui_url}/runs/{run_id}",
            ]
        ),
    )


def holding(environment: Environment) -> dict[str, Any]:
    """Which gates hold which KPIs back, as of what was published last; empty if none does."""
    try:
        gates = [gate for gate in read_verdict(environment.home)["gates"] if gate["holds"]]
        kpis = reading.held_kpis(environment.home)
    except (OSError, UserError):  # the state folder was emptied since
        return {}
    return {"gates": sorted(gate["gap_type"] for gate in gates), "kpis": kpis} if gates else {}


def held(environment: Environment, now: Mapping[str, Any], run_id: str) -> Alert:
    """What holds KPIs back, who mends it, what it is worth, and which KPIs."""
    known = {gate.gap_type: gate for gate in GATES}
    found = {gate["gap_type"]: gate for gate in read_verdict(environment.home)["gates"]}
    currency = environment.config.company.currency
    parts = []
    for gap_type in now["gates"]:
        gate, said = known[gap_type], found[gap_type]
        money = float(said["money_at_risk"])
        worth = f", {money:,.2f} {currency} at risk" if money else ""
        parts.append(
            f"{gap_type}, for {gate.owner_team}: {said['found']} {gate.what}{worth}. {gate.why}. "
            f"Fix: {gate.fix}."
        )
    return Alert(
        "warning",
        f"KPIs held back: {', '.join(now['gates'])}",
        "\n\n".join(
            [
                f"{environment.config.company.name}: these KPIs keep their last good value: "
                f"{', '.join(now['kpis']) or 'none that was published'}.",
                *parts,
                "All of them: revops gaps --severity critical",
                f"{environment.config.alerts.ui_url}/runs/{run_id}",
            ]
        ),
    )


def free(environment: Environment, before: Mapping[str, Any], run_id: str) -> Alert:
    """That nothing holds KPIs back any more."""
    return Alert(
        "success",
        "KPIs are free again",
        f"{environment.config.company.name}: no gate holds KPIs back any more; until now "
        f"{', '.join(before['gates'])} did. Published afresh: {', '.join(before['kpis'])}.\n\n"
        f"{environment.config.alerts.ui_url}/runs/{run_id}",
    )


def _cause(error: Any) -> str | None:
    """What is meant for people. Of any other fault only its kind: its text may repeat what is in the data."""
    found = fault(error)
    if found is None:
        return None
    if found.told is not None:
        return found.told if len(found.told) <= MOST_SAID else f"{found.told[:MOST_SAID]} ..."
    if found.is_interruption:
        return "it was interrupted"
    return f"{found.kind}, a fault of the pipeline; the run shows where"


def _teams(owners: Iterable[str]) -> str:
    return ", ".join(sorted({owner.removeprefix(TEAM) for owner in owners})) or NO_OWNER


def _named(keys: Keys) -> str:
    named = ["/".join(key.path) for key in keys[:MOST_NAMED]]
    more = len(keys) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
