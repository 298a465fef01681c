"""A walk through Dagster's web page as an analyst does it, in a real browser, over five runs of a company."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from browser import browser, opened
from dagster_ui import NO_SCHEDULE_NOW, Ui, serving_ui
from playwright.sync_api import Locator, Page, expect
from revops import Revops, copied

RUNS = 5

#: What somebody types in the search box, the asset it leads to, and how its description begins.
SEARCHED = [
    ("win rate", "kpis/win_rate", "Won opportunities / (won + lost)"),
    ("kpi values", "marts/kpi_values", "One row per KPI, period"),
]

#: Whether a plot has dots in a colour; its frame, scales and letters are grey.
_DRAWN = """(canvas) => {
  const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let dots = 0;
  for (let at = 0; at < all.length; at += 4) {
    const three = [all[at], all[at + 1], all[at + 2]];
    if (all[at + 3] > 200 && Math.max(...three) - Math.min(...three) > 90) dots += 1;
  }
  return dots > 100;
}"""


@pytest.fixture(scope="module")
def company(small_company: Revops, tmp_path_factory: pytest.TempPathFactory) -> Revops:
    """After five runs, a week between each and the next."""
    browser()
    revops = copied(small_company, tmp_path_factory.mktemp("walk"))
    with revops.config.open("a", encoding="utf-8") as config:
        config.write(NO_SCHEDULE_NOW)
    for _ in range(RUNS - 1):
        revops("sandbox", "advance", "--days", "7")
        revops("run")
    return revops


@pytest.fixture(scope="module")
def ui(company: Revops) -> Iterator[Ui]:
    with serving_ui(company) as started:
        yield started


@pytest.fixture(scope="module")
def walked(ui: Ui) -> Iterator[tuple[Page, list[str]]]:
    with opened(1400, 1000) as (page, refused):
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        yield page, refused


@pytest.fixture
def page(walked: tuple[Page, list[str]], ui: Ui, tmp_path: Path) -> Iterator[Page]:
    """The page, at Dagster's address; what was seen of it last is `last.png` in the test's folder."""
    walked[0].goto(ui.address)
    yield walked[0]
    walked[0].screenshot(path=tmp_path / "last.png")


def asset(page: Page, ui: Ui, key: str, tab: str = "Overview") -> None:
    """Open a tab of an asset's page."""
    page.goto(f"{ui.address}/assets/{key}")
    page.get_by_role("tab", name=tab).click()
    expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")


def drawn(page: Page, plots: int) -> None:
    """See that so many plots have a line, rather than nothing or an empty frame."""
    canvases = page.locator("canvas")
    expect(canvases).to_have_count(plots)
    page.wait_for_function(f"() => [...document.querySelectorAll('canvas')].every({_DRAWN})")


def graph(page: Page, ui: Ui, selection: str) -> None:
    """Open the graph of the assets that are selected; its groups are closed."""
    page.goto(f"{ui.address}/asset-groups~{quote(selection, safe='')}/")
    expect(page.get_by_text(selection)).to_be_visible()


def group_of(page: Page, name: str) -> Locator:
    """A group in the list beside the graph."""
    return page.get_by_role("button", name=f"asset_group {name} {name}", exact=True)


@pytest.mark.parametrize(("said", "key", "description"), SEARCHED)
def test_what_somebody_searches_is_found_and_says_what_it_is(
    page: Page, said: str, key: str, description: str
) -> None:
    page.get_by_role("button", name="Search").click()
    page.get_by_placeholder("Search assets").fill(said)
    page.get_by_role("link", name=key.replace("/", " / ")).first.click()
    page.wait_for_url(f"**/assets/{key}**")
    schema, name = key.split("/")
    expect(page.get_by_role("tab", name="Overview")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("listitem").filter(has_text=name)).to_be_visible()
    expect(page.get_by_role("link", name=re.compile(f"^({schema}|{schema}_kpis)$"))).to_be_visible()
    expect(page.get_by_text(description).first).to_be_visible()
    # How fresh it is, by what schedules, and whose.
    expect(page.get_by_text("Latest materialization")).to_be_visible()
    expect(page.get_by_role("link", name="revenue_pipeline")).to_be_visible()
    expect(page.get_by_text("2 schedules")).to_be_visible()
    expect(page.get_by_text("Owners", exact=True)).to_be_visible()
    if schema == "kpis":
        expect(page.get_by_text("Latest check results")).to_be_visible()
        expect(page.get_by_text("Fails if more than 30 hours since last materialization")).to_be_visible()


def test_a_mart_tells_what_its_columns_mean(page: Page, ui: Ui) -> None:
    asset(page, ui, "marts/kpi_values")
    expect(page.get_by_role("cell", name="Name in kpi_definitions.")).to_be_visible()


def test_the_lineage_of_a_kpi_goes_back_to_hubspots_deals(page: Page, ui: Ui) -> None:
    asset(page, ui, "marts/kpi_values", "Lineage")
    page.get_by_role("button", name="Upstream").click()
    page.get_by_role("button", name="All", exact=True).click()
    expect(page.get_by_role("button", name="All", exact=True)).to_be_disabled()
    expect(page.get_by_role("button", name=re.compile(r"Materialize all \(1\d\d\)"))).to_be_visible()
    # All of it is seen in the graph of everything.
    graph(page, ui, '+key:"marts/kpi_values"')
    sources = ("raw_crm", "raw_email", "raw_billing", "raw_finance")
    for group in (*sources, "systems", "contract_crm", "core", "gaps", "marts_kpis"):
        expect(group_of(page, group)).to_be_visible()
    graph(page, ui, 'key:"raw_hubspot/deals"+ and +key:"marts/kpi_values"')
    for group in ("staging_crm", "contract_crm", "core", "marts_kpis"):
        expect(group_of(page, group)).to_be_visible()
    for group in ("raw_billing", "contract_billing", "published"):
        expect(group_of(page, group)).to_have_count(0)
    group_of(page, "raw_crm").locator("xpath=preceding::button[1]").click()
    expect(page.get_by_role("button", name="deals")).to_be_visible()


def test_a_failed_check_shows_the_rows_it_found(page: Page, ui: Ui, company: Revops) -> None:
    asset(page, ui, "gaps/register", "Checks")
    page.get_by_placeholder("Filter checks").fill("duplicate_accounts")
    page.get_by_text("duplicate_accounts", exact=True).first.click()
    expect(page.get_by_text("merge the newer account", exact=False).first).to_be_visible()
    expect(page.get_by_text("Failed").first).to_be_visible()
    page.get_by_text("[Show Markdown]").click()
    rows = page.get_by_role("dialog").get_by_role("row")
    expect(rows.first).to_contain_text("one side")
    with company.marts() as marts:
        keys = marts.execute(
            "select key_left from marts.silo_gaps where gap_type = 'duplicate_accounts'"
        ).fetchall()
    assert {row.split("\t")[0] for row in rows.all_inner_texts()[1:]} == {f"crm {key}" for (key,) in keys}
    page.get_by_role("button", name="Close").click()
    # How it went over the runs is drawn under it.
    drawn(page, 2)


def test_a_kpi_is_drawn_over_the_runs(page: Page, ui: Ui) -> None:
    asset(page, ui, "kpis/win_rate")
    expect(page.get_by_text("latest quarter", exact=True)).to_be_visible()
    page.get_by_role("button", name="Plots").click()
    for name in ("latest month", "latest quarter", "latest year", "since the beginning"):
        expect(page.get_by_text(name, exact=True)).to_be_visible()
    page.wait_for_function(f"() => [...document.querySelectorAll('canvas')].slice(0, 4).every({_DRAWN})")


def test_figures_are_drawn_over_the_runs(page: Page, ui: Ui) -> None:
    asset(page, ui, "published/marts")
    page.get_by_role("button", name="Plots").click()
    for name in ("rows", "tables"):
        expect(page.get_by_text(name, exact=True)).to_be_visible()
    drawn(page, 2)
    asset(page, ui, "published/marts", "Events")
    expect(page.get_by_text("Materialized in run")).to_be_visible()
    # One in the list for each run, and the one that is shown.
    expect(page.get_by_role("img", name="run_success")).to_have_count(RUNS + 1)


def test_months_are_loaded_again_by_a_backfill(page: Page, ui: Ui) -> None:
    asset(page, ui, "raw_mailshake/opens")
    page.get_by_role("button", name=re.compile("Materialize")).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="All", exact=True).click()
    dialog.get_by_role("button", name="Launch backfill").click()
    expect(page.get_by_text("Created backfill")).to_be_visible()
    page.goto(f"{ui.address}/runs?view=backfills")
    expect(page.get_by_text("raw_mailshake / opens").first).to_be_visible()
    expect(page.get_by_text("Success", exact=True)).to_be_visible(timeout=300_000)


def test_the_page_asks_nothing_of_other_machines(walked: tuple[Page, list[str]]) -> None:
    assert walked[1] == []
