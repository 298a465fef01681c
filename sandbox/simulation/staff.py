"""The company's own people: reps with territories, deal stages, e-mail campaigns."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal

from sandbox.simulation.names import FIRST, LAST
from sandbox.simulation.timeline import add_months, midnight, next_quarter, quarter_of
from sandbox.world import Campaign, Owner, Stage, TeamMember

HOME = "acme.example"
MARKETING = f"marketing@{HOME}"
#: Role, team, region of the twelve reps.
REPS = (
    ("sdr", "Americas", "US East"),
    ("sdr", "Americas", "US West"),
    ("sdr", "Europe", "DACH"),
    ("sdr", "Enterprise", "Global"),
    ("ae", "Americas", "US East"),
    ("ae", "Americas", "US West"),
    ("ae", "Europe", "DACH"),
    ("ae", "Europe", "UK"),
    ("ae", "Enterprise", "Global"),
    ("csm", "Customer Success", "US East"),
    ("csm", "Customer Success", "DACH"),
    ("csm", "Customer Success", "Global"),
)
#: Rep -> months after the start, new team, new region.
MOVES = {
    1: (13, "Europe", "UK"),
    5: (8, "Enterprise", "Global"),
    7: (15, "Americas", "US West"),
    11: (10, "Customer Success", "UK"),
}
SALES = ("qualification", "discovery", "demo", "proposal", "negotiation")
RENEWAL = ("renewal_open", "renewal_quote")


def stages() -> list[Stage]:
    """Both deal pipelines."""
    found = [
        Stage("sales", key, key.capitalize(), place, Decimal(chance), "open")
        for place, (key, chance) in enumerate(zip(SALES, ("0.1", "0.2", "0.4", "0.6", "0.8"), strict=True))
    ]
    found += [
        Stage("sales", "closedwon", "Closed won", 5, Decimal("1.0"), "won"),
        Stage("sales", "closedlost", "Closed lost", 6, Decimal("0.0"), "lost"),
        Stage("renewals", "renewal_open", "Renewal open", 0, Decimal("0.5"), "open"),
        Stage("renewals", "renewal_quote", "Renewal quoted", 1, Decimal("0.75"), "open"),
        Stage("renewals", "renewal_won", "Renewed", 2, Decimal("1.0"), "won"),
        Stage("renewals", "renewal_lost", "Not renewed", 3, Decimal("0.0"), "lost"),
    ]
    return found


def at_time(owner: Owner, field: str, when: datetime) -> str:
    """An owner's team or region as it was at an instant."""
    value = owner.history[field][0][1]
    for since, later in owner.history[field]:
        if since <= when:
            value = later
    return str(value)


class Staff:
    """Reps and campaigns as they are at `now`."""

    def __init__(self, seed: int, start: datetime, now: datetime) -> None:
        rng = random.Random(f"{seed}:staff")
        first, last = rng.sample(FIRST, len(REPS)), rng.sample(LAST, len(REPS))
        self.owners: list[Owner] = []
        born = start - timedelta(days=1)
        for place, (role, team, region) in enumerate(REPS):
            email = f"{first[place]}.{last[place]}@{HOME}".lower()
            owner = Owner(
                *(str(101 + place), first[place], last[place], email, role, team, region, born, born),
                history={"team": [(born, team)], "region": [(born, region)]},
            )
            if place in MOVES:
                months, team, region = MOVES[place]
                moved = add_months(start, months) + timedelta(days=9, hours=9, minutes=7)
                if moved < now:
                    owner.team, owner.region, owner.updated_at = team, region, moved
                    owner.history["team"].append((moved, team))
                    owner.history["region"].append((moved, region))
            self.owners.append(owner)
        self.team = [
            TeamMember(str(501 + place), owner.email, owner.first_name, owner.last_name, born)
            for place, owner in enumerate(o for o in self.owners if o.role == "sdr")
        ]
        self.team.append(TeamMember("510", MARKETING, "Acme", "Marketing", born))
        self.campaigns = self._campaigns(start, now)

    def _campaigns(self, start: datetime, now: datetime) -> list[Campaign]:
        found: list[Campaign] = []
        quarter, number = quarter_of(start), 0
        while (born := max(midnight(quarter), start) + timedelta(hours=7)) < now:
            label = f"{quarter.year} Q{quarter.month // 3 + 1}"
            for place, member in enumerate(self.team):
                marketing = member.email == MARKETING
                key = 20000 + number * 20 + place
                steps = 3 if marketing else 4 + (number + place) % 2
                archived = born + timedelta(days=400, hours=2)
                found.append(
                    Campaign(
                        id=str(key),
                        name=f"{label} {'newsletter' if marketing else 'outbound ' + member.first_name}",
                        kind="marketing" if marketing else "outbound",
                        sender_email=member.email,
                        owner_email=member.email,
                        created_at=born,
                        message_ids=[str(key * 10 + step) for step in range(steps)],
                        archived_at=archived if archived < now else None,
                    )
                )
            quarter, number = next_quarter(quarter), number + 1
        return found

    def campaign(self, sender: str, when: datetime) -> Campaign:
        """The sender's campaign of that quarter."""
        return [c for c in self.campaigns if c.sender_email == sender and c.created_at <= when][-1]

    def pick(self, role: str, team: str, when: datetime, rng: random.Random) -> Owner:
        """A rep of a role, of that team at that time if it has one."""
        able = [o for o in self.owners if o.role == role]
        return rng.choice([o for o in able if at_time(o, "team", when) == team] or able)
