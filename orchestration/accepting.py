"""Publishing all the same: somebody accepts gaps as they are, with a reason.

It travels as tags of the run, so that it can be said on the command line and in Dagster's UI.
"""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence

from expectations.catalogue import GATES
from expectations.register import Acceptance
from settings.errors import UserError

ACCEPT_TAG, REASON_TAG, BY_TAG = "revops/accept", "revops/reason", "revops/accepted-by"


def accepting_tags(gap_types: Sequence[str], reason: str | None) -> dict[str, str]:
    """What was asked for, as a run carries it. Raises `UserError` as `acceptance_of` does."""
    if not gap_types:
        if reason is not None:
            raise UserError("--reason is why gaps are accepted. Say which: --accept GAP_TYPE")
        return {}
    found = {ACCEPT_TAG: ", ".join(gap_types), REASON_TAG: reason or "", BY_TAG: _user()}
    acceptance_of(found)
    return found


def acceptance_of(tags: Mapping[str, str]) -> Acceptance | None:
    """What a run with these tags accepts. Raises `UserError` for an unknown gap type or without a reason."""
    if ACCEPT_TAG not in tags:
        return None
    gap_types = tuple(name.strip() for name in tags[ACCEPT_TAG].split(","))
    known = sorted(gate.gap_type for gate in GATES)
    for name in gap_types:
        if name not in known:
            raise UserError(f"--accept {name}: there is no such gap type; there is {', '.join(known)}")
    reason = tags.get(REASON_TAG, "").strip()
    if not reason:
        raise UserError(f'--accept {gap_types[0]}: say why, for whoever reads the figures: --reason "..."')
    return Acceptance(gap_types, tags.get(BY_TAG, "Dagster's UI"), reason)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
