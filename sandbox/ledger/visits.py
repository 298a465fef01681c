"""Which stages of its pipeline each deal was in, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sandbox.world import World


@dataclass(frozen=True)
class Visit:
    """A deal in an open stage: [entered_at, left_at)."""

    deal_id: str
    label: str
    entered_at: datetime
    left_at: datetime | None
    exit: str | None  # advanced | lost | back
    imputed: bool = False  # passed over


def stage_visits(world: World) -> dict[str, list[Visit]]:
    """Deal -> its visits; every stage that was jumped over has one without length."""
    stages = {stage.id: stage for stage in world.crm.stages}
    used = {stage for deal in world.crm.deals for _, stage in deal.history["stage"]}
    found: dict[str, list[Visit]] = {}
    for deal in world.crm.deals:
        # A stage left in the second it was entered in was never seen.
        moves, visits, place = list(dict(deal.history["stage"]).items()), [], -1
        for number, (since, key) in enumerate(moves):
            stage = stages[key]
            if stage.outcome != "lost":
                visits += [
                    Visit(deal.id, jumped.label, since, since, "advanced", imputed=True)
                    for jumped in world.crm.stages
                    if jumped.pipeline == deal.pipeline
                    and jumped.outcome == "open"
                    and jumped.id in used
                    and place < jumped.position < stage.position
                ]
            place = stage.position
            if stage.outcome != "open":
                continue
            until, exit = None, None
            if number + 1 < len(moves):
                until, following = moves[number + 1][0], stages[moves[number + 1][1]]
                exit = "advanced" if following.outcome == "won" else "lost"
                if following.outcome == "open":
                    exit = "advanced" if following.position > stage.position else "back"
            visits.append(Visit(deal.id, stage.label, since, until, exit))
        found[deal.id] = visits
    return found
