"""Every gap type in a whole company: a fault in its tools is found, named, priced; alone; then repaired."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest
from planted_companies import BILLING, CRM, ERASURE_KEY, MAIL, Hands
from planted_faults import ERASED, PLANTED, Row
from revops import PUBLISHED_ANYWAY, ROOT, Revops, sandbox_company
from serving import serving

from expectations.catalogue import GATES
from sandbox.ledger import Ledger
from sandbox.server import app
from sandbox.state import Company, State, write_state
from sandbox.world import World

SEEDS = [7, 11, 23] if os.environ.get("REVOPS_TEST_ALL") == "1" else [7]
SIZE = {"size": 60, "months": 20}
#: Finance keeps its budget with somebody else, who may be late by himself.
BUDGET = """
[sources.budget]
silo = "finance"
type = "files"
mapping = "budget.toml"
max_age_days = 35
"""

#: Whom nobody can tell apart, the simulated people among them; the truth has no doubts.
DOUBT = "ambiguous_identity"


class Entry(NamedTuple):
    """A row of the register, whether it is open, and what it holds back."""

    row: Row
    is_open: bool
    holds: str | None


@dataclass
class Story:
    """The register after each of three runs, by gap id."""

    world: World
    own: set[tuple[str, str, str | None, Decimal]]  # the gaps that the simulated company has by itself
    clean: dict[str, Entry]
    faulty: dict[str, Entry]
    repaired: dict[str, Entry]

    @property
    def opened(self) -> dict[str, Row]:
        """What the second run has found for the first time."""
        return {key: entry.row for key, entry in self.faulty.items() if key not in self.clean}


@pytest.fixture(scope="module", params=SEEDS, ids=lambda seed: f"seed {seed}")
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Story:
    return lived(tmp_path_factory.mktemp("company"), request.param)


def lived(folder: Path, seed: int) -> Story:
    """Run a company that is healthy, then with all faults, then with all of them repaired."""
    revops = entered(folder, seed)
    state = State(seed, SIZE["months"], SIZE["size"], noise=False)
    write_state(revops.home / "sandbox", state)
    world = state.simulate()
    by_hand(revops, (fault.healthy for fault, _ in PLANTED), world)
    revops("run")
    clean = register(revops)
    (revops.home / "erased.json").write_text(json.dumps({"key": ERASURE_KEY, "people": {}}), encoding="utf-8")
    revops("erase", ERASED.email, "--yes")
    by_hand(revops, (fault.plant for fault, _ in PLANTED), world)
    revops("run", exits=2)
    faulty = register(revops)
    by_hand(revops, (fault.repair for fault, _ in PLANTED), world)
    revops("erase", ERASED.email, "--yes")
    revops("run")
    own = {(gap.gap_type, gap.key_left, gap.key_right, gap.money_at_risk) for gap in Ledger(world).gaps}
    return Story(world, own, clean, faulty, register(revops))


def entered(folder: Path, seed: int) -> Revops:
    """The sandbox's configuration, with vendors and sources by which every gap type can be."""
    revops = sandbox_company(folder, **SIZE, extra=BUDGET + PUBLISHED_ANYWAY, seed=seed)
    finance = (ROOT / "mappings" / "finance.toml").read_text(encoding="utf-8")
    head, *tables = re.split(r"(?m)^(?=\[tables\.\w+\]\n)", finance)
    budget = [table for table in tables if table.startswith("[tables.spend]")]
    (folder / "budget.toml").write_text(head + "".join(budget), encoding="utf-8")
    rest = [table for table in tables if table not in budget]
    (folder / "finance.toml").write_text(head + "".join(rest), encoding="utf-8")
    text = revops.config.read_text(encoding="utf-8")
    for old, new in (
        ('["hubspot", "mailshake", "stripe"]', f'["{CRM}", "{MAIL}", "{BILLING}"]'),
        (f'"{ROOT}/mappings/finance.toml"', '"finance.toml"'),
    ):
        assert old in text
        text = text.replace(old, new)
    revops.config.write_text(text, encoding="utf-8")
    return revops


def by_hand(revops: Revops, deeds: Iterable[Callable[..., None]], world: World) -> None:
    """Let people work in the tools; a sandbox that is started later shows what they did."""
    company = Company(revops.home / "sandbox")
    with serving(app(company.world, company.advance, company.folder, company.edit)) as address:
        hands = Hands(address, world)
        for deed, (_, firm) in zip(deeds, PLANTED, strict=True):
            deed(hands, firm)


def register(revops: Revops) -> dict[str, Entry]:
    """The published register."""
    with revops.marts() as marts:
        found = marts.execute(
            "select gap_id, resolved_at is null, holds, gap_type, silo_left, key_left, silo_right, key_right,"
            " account, owner_team, severity, money_at_risk from marts.silo_gaps"
        ).fetchall()
    return {key: Entry(Row(*row), is_open, holds) for key, is_open, holds, *row in found}


def still_open(rows: dict[str, Entry]) -> dict[str, Row]:
    return {key: entry.row for key, entry in rows.items() if entry.is_open}


def test_a_clean_company_has_no_gaps_but_its_own(story: Story) -> None:
    found = [row for row in still_open(story.clean).values() if row.gap_type != DOUBT]
    assert {(row.gap_type, row.key_left, row.key_right, row.money_at_risk) for row in found} == story.own
    doubted = " ".join(
        f"{row.key_left} {row.key_right}" for row, *_ in story.clean.values() if row.gap_type == DOUBT
    )
    assert [firm for _, firm in PLANTED if firm.id()[:-3] in doubted] == []


@pytest.mark.parametrize(("fault", "firm"), PLANTED, ids=[fault.gap_type for fault, _ in PLANTED])
def test_a_planted_fault_is_the_one_new_gap_of_its_type(fault, firm, story: Story) -> None:
    found = [row for row in story.opened.values() if row.gap_type == fault.gap_type]
    assert found == [fault.row(firm, story.world)]


def test_faults_turn_nothing_else_red(story: Story) -> None:
    assert {row.gap_type for row in story.opened.values()} <= {fault.gap_type for fault, _ in PLANTED}
    assert still_open(story.faulty).keys() == still_open(story.clean).keys() | story.opened.keys()


def test_what_is_repaired_is_resolved_and_nothing_else(story: Story) -> None:
    assert story.repaired.keys() == story.faulty.keys()
    assert still_open(story.repaired) == still_open(story.clean)


def test_gaps_about_the_data_itself_hold_whatever_they_are_worth(story: Story) -> None:
    holding = {entry.row.gap_type for entry in story.faulty.values() if entry.holds}
    assert holding == {gate.gap_type for gate in GATES if gate.severity == "critical" and gate.base is None}
    assert not any(entry.holds for rows in (story.clean, story.repaired) for entry in rows.values())


def test_every_gate_has_been_seen_red(story: Story) -> None:
    seen = {row.gap_type for row in story.opened.values()}
    assert [gate.gap_type for gate in GATES if gate.gap_type not in seen] == []
