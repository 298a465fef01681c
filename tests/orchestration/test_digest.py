"""The weekly digest, of marts made by hand: what is in it, and how it reads in a browser."""

from __future__ import annotations

import datetime as dt
import html
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from browser import browser, seen
from markdown_it import MarkdownIt

from orchestration import digest_pages
from orchestration.digest import MOST, digests, said
from orchestration.environment import Environment
from settings.errors import UserError

CONFIG = """
[company]
name = "Acme <Ltd> & Söhne"
currency = "EUR"
timezone = "Europe/Berlin"

[sources.hubspot]
silo = "crm"
type = "hubspot"
record_url = "https://app.hubspot.com/contacts/42"

[sources.stripe]
silo = "billing"
type = "stripe"
"""
AS_OF = dt.datetime(2026, 3, 25, 12, tzinfo=dt.UTC)  # a Wednesday
NASTY = 'a|b\n[x](https://evil.example) <img src=x onerror="document.title=1"> *c* `d` \\ <script>'
LONG = "L" * 300


def gap(gap_id: str, gap_type: str = "won_without_billing", **other: Any) -> dict[str, Any]:
    """A row of `silo_gaps`, found a month ago and open."""
    found = dt.datetime(2026, 2, 25, 8, tzinfo=dt.UTC)
    row = {
        **{"gap_id": gap_id, "gap_type": gap_type, "owner_team": "finance", "severity": "critical"},
        **{"silo_left": "crm", "key_left": gap_id, "value_left": "won 2026-02-01", "silo_right": "billing"},
        **{"key_right": None, "value_right": "no billing customer", "account": None, "currency": "EUR"},
        **{"money_at_risk": Decimal("100.0000"), "first_seen_at": found, "resolved_at": None, "holds": None},
        **{"accepted_at": None, "accepted_because": None, "reopened": 0},
        **other,
    }
    ended = row["resolved_at"] or AS_OF
    return row | {"age_days": (ended - row["first_seen_at"]).days}


def at(day: int, hour: int = 8) -> dt.datetime:
    return dt.datetime(2026, 3, day, hour, tzinfo=dt.UTC)


GAPS = [
    gap("old", money_at_risk=Decimal("1234567.8900"), account="A1", holds="revenue, silo:billing"),
    gap("older", money_at_risk=Decimal("5.0000"), first_seen_at=dt.datetime(2025, 12, 1, tzinfo=dt.UTC)),
    # Found at the first instant of Thursday the 19th in Berlin, which is the last of the 18th.
    gap("eve", first_seen_at=dt.datetime(2026, 3, 18, 23, tzinfo=dt.UTC)),
    gap("new", key_left=NASTY, value_left=NASTY, account="A2", first_seen_at=at(19)),
    gap("long", key_left=LONG, value_right=LONG, first_seen_at=at(25, 12), money_at_risk=None),
    gap(
        "back",
        reopened=2,
        first_seen_at=at(20),
        accepted_at=at(20),
        accepted_because="asked <legal> at joe@acme.example",
    ),
    gap("gone", resolved_at=at(19), money_at_risk=Decimal("70.0000")),
    gap("flash", first_seen_at=at(20), resolved_at=at(24)),
    gap("long gone", resolved_at=dt.datetime(2026, 3, 18, 12, tzinfo=dt.UTC)),
    gap("later", first_seen_at=at(26)),
    gap("mended later", "missing_fx_rate", resolved_at=at(27), severity="critical", money_at_risk=None),
    *[gap(f"n{n:03}", "off_list_price", owner_team="deal desk", severity="medium") for n in range(MOST + 4)],
    gap("worst", "deal_contract_mismatch", owner_team="deal desk", money_at_risk=None),
    gap("history", owner_team="sdr", resolved_at=dt.datetime(2026, 3, 1, tzinfo=dt.UTC)),
]


@pytest.fixture(scope="module")
def environment(load: Callable[[Path], Environment], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    config = tmp_path_factory.mktemp("digest") / "revops.toml"
    config.write_text(CONFIG, encoding="utf-8")
    made = load(config)
    publish(made, GAPS)
    return made


def publish(environment: Environment, gaps: list[dict[str, Any]]) -> None:
    """Marts as the digest reads them."""
    environment.home.marts.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(environment.home.marts / "current.duckdb")) as marts:
        marts.execute("set timezone = 'UTC'")
        marts.execute(
            """
            create schema marts;
            create table marts.silo_gaps (
                gap_id text, gap_type text, owner_team text, severity text, silo_left text, key_left text,
                value_left text, silo_right text, key_right text, value_right text, account text,
                currency text, money_at_risk decimal(18, 4), first_seen_at timestamptz,
                resolved_at timestamptz, holds text, accepted_at timestamptz, accepted_because text,
                reopened bigint, age_days bigint
            );
            create table marts.accounts (account text, name text);
            insert into marts.accounts values ('A1', 'Umbra | <b>Labs</b>'), ('A2', 'joe@umbra.example');
            create table marts.kpi_definitions (kpi text, position integer, subject text, silos text);
            insert into marts.kpi_definitions values
                ('arr', 2, 'revenue', 'billing'), ('mrr', 1, 'revenue', 'billing'),
                ('dso_days', 3, 'billing', 'billing'), ('cac', 4, 'acquisition', 'billing, finance'),
                ('win_rate', 5, 'sales', 'crm');
            create table marts.kpi_values as
                select kpi, case when kpi = 'dso_days' then 'ok' else 'held' end as gate_status
                from marts.kpi_definitions, range(2);
            create table marts.gap_trend (
                week date, ends_at timestamptz, owner_team text, gap_type text, opened bigint,
                reopened bigint, resolved bigint, open bigint, money_at_risk decimal(18, 2)
            )"""
        )
        for row in gaps:
            named = ", ".join(f"${column}" for column in row)
            marts.execute(f"insert into marts.silo_gaps ({', '.join(row)}) values ({named})", row)
        for number in range(10):
            week = dt.date(2026, 1, 19) + dt.timedelta(weeks=number)
            ends_at = min(AS_OF, dt.datetime.combine(week + dt.timedelta(weeks=1), dt.time(), dt.UTC))
            for gap_type in ("won_without_billing", "missing_fx_rate"):
                marts.execute(
                    "insert into marts.gap_trend values ($1, $2, 'finance', $3, $4, 1, 1, $4, 10.25)",
                    [week, ends_at, gap_type, number + 1],
                )


@pytest.fixture(scope="module")
def finance(environment: Environment) -> dict[str, Any]:
    (made,), without = digests(environment, "finance")
    assert without == []
    return made


def ids(part: dict[str, Any]) -> list[str]:
    return [gap["gap_id"] for gap in part["gaps"]]


def test_the_week_tells_new_from_come_back_from_old_from_resolved(finance: dict[str, Any]) -> None:
    assert (finance["since"], finance["until"]) == (dt.date(2026, 3, 19), dt.date(2026, 3, 25))
    assert finance["week"] == "2026-W13"
    assert ids(finance["new"]) == ["new", "long"]
    assert ids(finance["came_back"]) == ["back"]
    assert ids(finance["still_open"]) == ["old", "eve", "older", "mended later"]
    assert ids(finance["resolved"]) == ["flash", "gone"]
    assert finance["open"] == 7
    assert finance["money_at_risk"] == Decimal("1234872.89")
    assert finance["resolved"]["money_at_risk"] == 170
    assert finance["by_severity"] == {"critical": 7, "high": 0, "medium": 0}
    ages = {row["age"]: (row["count"], row["money_at_risk"]) for row in finance["by_age"]}
    assert ages == {
        "up to a week old": (4, 300),
        "up to 30 days": (2, Decimal("1234567.89")),
        "up to 90 days": (0, 0),
        "older": (1, 5),
    }


def test_it_says_what_to_do_what_it_holds_back_and_how_it_went(finance: dict[str, Any]) -> None:
    first, second = finance["to_do"]
    assert first["gap_type"] == "won_without_billing" and first["fix"].startswith("create the customer")
    assert (first["count"], first["new"], first["oldest_age_days"]) == (6, 3, 114)
    assert (second["what"], second["money_at_risk"]) == (
        "currencies in use long after their last exchange rate",
        0,
    )
    # dso_days is in doubt by no other gate's leave, and is not held; win_rate needs no billing.
    assert [(row["gap_type"], row["count"], row["kpis"]) for row in finance["holds"]] == [
        ("won_without_billing", 1, ["mrr", "arr", "cac"])
    ]
    assert [row["week"] for row in finance["trend"]] == [
        dt.date(2026, 2, 2) + dt.timedelta(weeks=n) for n in range(8)
    ]
    last = finance["trend"][-1]
    assert (last["opened"], last["reopened"], last["open"], last["money_at_risk"]) == (
        20,
        2,
        20,
        Decimal("20.50"),
    )
    assert (said("won_without_billing", 1), said("close_date_past")) == (
        "won deal older than 7 days without a billing customer",
        "open opportunities whose close date has gone by",
    )


def test_the_gravest_are_shown_and_the_rest_are_counted(environment: Environment) -> None:
    (desk,), _ = digests(environment, "deal desk")
    assert ids(desk["still_open"])[0] == "worst"
    part = desk["still_open"]
    assert (part["count"], len(part["gaps"]), part["more"], part["more_money"]) == (MOST + 5, MOST, 5, 500)
    assert "… and 5 more, 500.00 EUR" in digest_pages.page(desk, "html")
    assert '… and 5 more, 500.00 EUR: `revops gaps --owner "deal desk"`' in digest_pages.page(
        desk, "markdown"
    )


def test_a_team_without_gaps_gets_no_file_and_an_old_one_goes(
    environment: Environment, tmp_path: Path
) -> None:
    made, without = digests(environment, None)
    assert [digest["team"] for digest in made] == ["deal desk", "finance"]
    assert {"sdr", "sales", "customer success"} <= set(without)
    stale = tmp_path / "customer-success.md"
    stale.write_text("of Monday")
    written = digest_pages.write(made, without, tmp_path, ["markdown", "html"])
    assert written["deal desk"] == [tmp_path / "deal-desk.md", tmp_path / "deal-desk.html"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("deal-desk.html", "deal-desk.md", "finance.html", "finance.md")
    ]
    assert "Acme &lt;Ltd&gt; &amp; Söhne: gaps for deal desk" in (tmp_path / "deal-desk.html").read_text(
        "utf-8"
    )
    with pytest.raises(
        UserError, match="--owner nobody: there is no such team; there is account management, "
    ):
        digests(environment, "nobody")


def test_no_address_and_nobodys_name_gets_into_a_digest(finance: dict[str, Any]) -> None:
    (new,) = (gap for gap in finance["new"]["gaps"] if gap["gap_id"] == "new")
    assert new["account_name"] == "(e-mail address)"
    assert not any("accepted_by" in gap for gap in finance["came_back"]["gaps"])


def test_markdown_shows_values_as_they_are(finance: dict[str, Any]) -> None:
    shown = MarkdownIt("commonmark").enable("table").render(digest_pages.page(finance, "markdown"))
    assert "<script" not in shown and "<img" not in shown and "evil.example)" in shown
    assert 'href="https://evil.example' not in shown
    cells = [line for line in shown.splitlines() if "evil.example" in line]
    assert len(cells) == 1  # still one cell of a table: neither the pipe nor the new line ended it
    assert cells[0].count(html.escape(" ".join(NASTY.split()))) == 2
    assert "<td>Umbra | &lt;b&gt;Labs&lt;/b&gt;</td>" in shown
    assert '<a href="https://app.hubspot.com/contacts/42/record/0-3/old">old</a>' in shown
    assert "(accepted: asked &lt;legal&gt; at (e-mail address))" in shown
    assert shown.count("<table>") == 7 and shown.count("<h2>") == 6
    for row in shown.split("<tr>"):
        assert row.count("<td") in (0, 4, 6, 7)


def test_the_page_reads_well_in_a_browser(finance: dict[str, Any], tmp_path: Path) -> None:
    browser()
    (page,) = digest_pages.write([finance], [], tmp_path, ["html"])["finance"]
    phone, desk = seen(page, (390, 1100))
    assert (phone["width"], desk["width"]) == (390, 1100)
    for frame in (phone, desk):
        assert frame["scrolls"] == frame["width"], "it scrolls sideways"
        assert frame["wide"] == []
        assert frame["active"] == 0
        assert frame["title"] == "Acme <Ltd> & Söhne: gaps for finance, 2026-W13"
        text = " ".join(frame["text"].split())
        assert text.count(" ".join(NASTY.split())) == 2  # the key and the value, word for word
        assert "Umbra | <b>Labs</b>" in text and LONG in text
        assert "1,234,872.89 EUR at risk" in text
        assert "Holds back mrr, arr, cac." in text
        assert "Accepted: asked <legal> at (e-mail address)" in text
        links = dict(frame["links"])
        assert links["old"] == "https://app.hubspot.com/contacts/42/record/0-3/old"
        hosts = {link.split("/")[2] for link in links.values()}
        assert hosts == {"app.hubspot.com"}
    # The heads of columns are said beside the values where there are no columns.
    assert "Company\tWhere\tAge\tAt risk" in desk["text"] and "Company\tWhere" not in phone["text"]
    (dark,) = seen(page, (390,), dark=True)
    assert brightness(phone["background"]) > 200 > 60 > brightness(phone["color"])
    assert brightness(dark["background"]) < 60 < 200 < brightness(dark["color"])


def brightness(color: str) -> float:
    parts = [float(part) for part in color[color.index("(") + 1 : -1].split(",")[:3]]
    return sum(parts) / 3
