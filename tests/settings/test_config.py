from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from revops import ROOT

from settings.config import Policies, load_config
from settings.errors import UserError
from settings.paths import DBT_PROJECT
from settings.vendors import vendors

CRM = '[sources.crm]\nsilo = "crm"\ntype = "hubspot"\n'
FILES = '[sources.crm]\nsilo = "crm"\ntype = "files"\n'
USUAL = Policies()


def write(folder: Path, text: str) -> Path:
    path = folder / "revops.toml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(path: Path) -> list[str]:
    """What is wrong with a file, one line a fault, the file's name checked and taken off."""
    with pytest.raises(UserError) as caught:
        load_config(path)
    head, *listed = str(caught.value).splitlines()
    assert head.startswith(str(path))
    return [line.removeprefix("  - ") for line in listed] or [head]


UNKNOWN_KEYS = [
    ('compny = "x"\n' + CRM, "unknown key 'compny'; did you mean 'company'?"),
    (
        'name = "x"\n' + CRM,
        "unknown key 'name'. There is alerts, company, funnel, policies, sandbox, schedules, sources,"
        " thresholds",
    ),
    ('path = "x"\n' + CRM, "unknown key 'path'. Remove it"),
    (CRM + '[company]\ncurency = "EUR"', "[company]: unknown key 'curency'; did you mean 'currency'?"),
    (CRM + 'base_ulr = "x"', "[sources.crm]: unknown key 'base_ulr'; did you mean 'base_url'?"),
    (CRM + 'name = "x"', "[sources.crm]: unknown key 'name'. The name is the table's key; remove it"),
    (CRM + "[policies]\nchurn = 1", "[policies]: unknown key 'churn'; did you mean 'churn_date'?"),
    (CRM + "[funnel]\nmql_status = []", "[funnel]: unknown key 'mql_status'; did you mean 'mql_statuses'?"),
    (
        CRM + "[thresholds]\nhold = 1",
        "[thresholds]: unknown key 'hold'. There is hold_share, won_to_billed_days",
    ),
    (
        CRM + "[alerts]\nevent = []",
        "[alerts]: unknown key 'event'; did you mean 'events'? Whom alerts go to is a secret: set the"
        " environment variable ALERTS__ADDRESSES",
    ),
    (CRM + "[sandbox]\nprt = 1", "[sandbox]: unknown key 'prt'; did you mean 'port'?"),
]

WRONG_TYPES = [
    ("company = 1\n" + CRM, "'company' must be a table; write it as [company]"),
    ('[sources]\ncrm = "hubspot"', "[sources]: 'crm' must be a table; write it as [sources.crm]"),
    (CRM + "[company]\nname = 1", "[company]: name = 1: input should be a valid string"),
    (CRM + "[company]\ntimezone = true", "[company]: timezone = true: input should be a valid string"),
    (
        CRM + '[company]\nfiscal_year_start = "4"',
        "[company]: fiscal_year_start = '4': input should be a valid integer",
    ),
    (CRM + '[funnel]\nreplied = "reply"', "[funnel]: replied = 'reply': input should be a valid list"),
    (CRM + "lag_minutes = 1.5", "[sources.crm]: lag_minutes = 1.5: input should be a valid integer"),
    (
        CRM + '[policies]\npast_due_grace_days = "30"',
        "[policies]: past_due_grace_days = '30': input should be a valid integer",
    ),
    (
        CRM + '[policies]\ngross_margin = "most"',
        "[policies]: gross_margin = 'most': input should be a valid decimal",
    ),
    (
        '[sources.crm]\nsilo = "crm"\ntype = ["hubspot"]',
        "[sources.crm]: type = ['hubspot']: input should be a valid string",
    ),
    (FILES + "mapping = 1", '[sources.crm]: mapping = 1: write the path of a file, such as "export.toml"'),
]

BAD_VALUES = [
    (
        CRM + '[funnel]\nengaged = ["open", "opend"]',
        "[funnel]: engaged = ['open', 'opend']: no e-mail event is called 'opend'; did you mean 'open'?",
    ),
    (
        CRM + '[funnel]\nmql = "qualified"',
        "[funnel]: mql = 'qualified': crm.leads has no such date. There is converted_at, created_at,"
        " first_response_at, mql_at, sql_at",
    ),
    (CRM + '[company]\nname = ""', "[company]: name = '': string should have at least 1 character"),
    (
        CRM + '[company]\ncurrency = "euro"',
        "[company]: currency = 'euro': not a currency; write its code of three capital letters,"
        ' such as "EUR"',
    ),
    (
        CRM + '[company]\ntimezone = "Europe/Berln"',
        "[company]: timezone = 'Europe/Berln': no time zone of that name; did you mean 'Europe/Berlin'?"
        " Use an IANA name such as 'Europe/Berlin'",
    ),
    (
        CRM + '[company]\nhistory_from = "2024-11-02"',
        "[company]: history_from = '2024-11-02': write the first day of a month, such as \"2020-01-01\"",
    ),
    (
        CRM + '[schedules]\ndaily = "at five"',
        "[schedules]: daily = 'at five': not a cron expression of five fields; write one such as"
        ' "0 5 * * *"',
    ),
    (
        CRM + "[company]\nfiscal_year_start = 13",
        "[company]: fiscal_year_start = 13: input should be less than or equal to 12",
    ),
    *[
        (
            f'{CRM}[company]\nbusiness_hours = "{hours}"',
            f"[company]: business_hours = '{hours}': no hours of a day;"
            ' write when they begin and end, such as "09:00-17:00"',
        )
        for hours in ("9-17", "17:00-09:00", "09:00-09:00", "09:00-25:00", "")
    ],
    (
        CRM + '[company]\nbusiness_days = ["monday", "mnday"]',
        "[company]: business_days = ['monday', 'mnday']: no day of the week is called 'mnday';"
        " did you mean 'monday'?",
    ),
    (
        CRM + "[company]\nbusiness_days = []",
        '[company]: business_days = []: nobody would ever work; write days such as ["monday", "tuesday"]',
    ),
    (
        CRM + "[policies]\nlead_sla_minutes = 0",
        "[policies]: lead_sla_minutes = 0: input should be greater than or equal to 1",
    ),
    *[
        (
            f"{CRM}[company]\nas_of = {given}",
            f'[company]: as_of = {shown}: write a day as "2026-10-31" or an instant as'
            ' "2026-10-31T18:00:00Z"',
        )
        for given, shown in (
            ('"yesterday"', "'yesterday'"),
            ('"2026-02-30"', "'2026-02-30'"),
            ("5", "5"),
            ("10:00:00", "datetime.time(10, 0)"),
            ('"9999-12-31"', "'9999-12-31'"),
        )
    ],
    (
        '[sources.crm]\nsilo = "cmr"\ntype = "hubspot"',
        "[sources.crm]: silo = 'cmr': input should be 'crm', 'email', 'billing' or 'finance'",
    ),
    (CRM + "max_age_days = 0", "[sources.crm]: max_age_days = 0: input should be greater than or equal to 1"),
    *[
        (
            f'{CRM}base_url = "{address}"',
            f"[sources.crm]: base_url = '{address}': not an address;"
            ' write one such as "https://api.example.com"',
        )
        for address in ("nowhere", "ftp://files.example.com", "http://example.com:99999", "https://")
    ],
    (
        CRM + '[alerts]\nevents = ["failed", "hold"]',
        "[alerts]: events = ['failed', 'hold']: no alert is sent on 'hold'; did you mean 'held'?",
    ),
    (
        CRM + '[alerts]\nui_url = "dagster"',
        "[alerts]: ui_url = 'dagster': not an address; write one such as \"https://dagster.example.com\"",
    ),
    (
        CRM + '[alerts]\nui_url = "https://ann:geheim@dagster.example.com"',
        "[alerts]: ui_url = 'https://(login)@dagster.example.com': everybody who gets an alert would see the"
        " login. Write the address without it",
    ),
    (
        CRM + '[policies]\nchurn_date = "never"',
        "[policies]: churn_date = 'never': input should be 'service_end' or 'cancellation'",
    ),
    (
        CRM + '[policies]\ndiscounts = "some"',
        "[policies]: discounts = 'some': input should be 'all', 'forever_only' or 'none'",
    ),
    (
        CRM + '[policies]\nmode = "baremetrics"',
        "[policies]: mode = 'baremetrics': input should be 'canonical', 'chartmogul' or 'stripe'",
    ),
    (CRM + "[policies]\ngross_margin = 0", "[policies]: gross_margin = 0: input should be greater than 0"),
    (
        CRM + "[thresholds]\nhold_share = 1.5",
        "[thresholds]: hold_share = 1.5: input should be less than or equal to 1",
    ),
    (
        CRM + "[thresholds]\nhold_share = nan",
        "[thresholds]: hold_share = nan: input should be a finite number",
    ),
    (CRM + "[sandbox]\nport = 0", "[sandbox]: port = 0: input should be greater than or equal to 1"),
    (
        CRM + '[sandbox]\nvendors = ["strip"]',
        "[sandbox]: vendors: 'strip': no such vendor; did you mean 'stripe'?",
    ),
    (
        '[sandbox]\nvendors = ["stripe"]\n[sources.stripe]\nsilo = "billing"\ntype = "stripe"',
        "[sandbox]: vendors: 'stripe' is a table under [sources] too. Remove one of them",
    ),
    (
        '[sandbox]\nvendors = ["hubspot", "hubspot"]',
        "[sandbox]: vendors: 'hubspot' shows the same company as 'hubspot', which would count twice. "
        "Remove one of them",
    ),
    (CRM + "[sandbox]\nnoise = 0.5", "[sandbox]: noise = 0.5: input should be a valid boolean"),
    (CRM + "[sandbox]\nsize = 1", "[sandbox]: size = 1: input should be greater than or equal to 20"),
]

SOURCES = [
    *[
        (
            text,
            '[sources]: no source is configured. Add for example [sources.hubspot] with silo = "crm" and'
            ' type = "hubspot"',
        )
        for text in ("", "[sources]", "sources = 1", "[[sources]]\nsilo = 'crm'")
    ],
    ('[sources.crm]\nsilo = "crm"', "[sources.crm]: 'type' is missing. Add it"),
    ('[sources.crm]\ntype = "hubspot"', "[sources.crm]: 'silo' is missing. Add it"),
    (
        CRM.replace("[sources.crm]", "[sources.My-CRM]"),
        "[sources.My-CRM]: 'My-CRM' is no source name. Use lower-case letters, digits and _",
    ),
    (
        CRM.replace('"hubspot"', '"hubspto"'),
        "[sources.crm]: type = 'hubspto': no such type; did you mean 'hubspot'?",
    ),
    (
        CRM.replace('"hubspot"', '"abacus"'),
        f"[sources.crm]: type = 'abacus': no such type. There is {', '.join(sorted([*vendors(), 'files']))}",
    ),
    (
        CRM.replace('"crm"', '"billing"'),
        "[sources.crm]: silo = 'billing': hubspot is a source of silo crm. Write silo = \"crm\"",
    ),
    (
        FILES,
        '[sources.crm]: a source of type "files" needs a mapping. Add mapping = "<file>.toml"',
    ),
    (
        CRM + 'mapping = "x.toml"',
        "[sources.crm]: mapping = 'x.toml': only sources of type \"files\" have one. Remove it",
    ),
    (
        FILES + 'mapping = "revops.toml"\nbase_url = "http://x"',
        "[sources.crm]: base_url = 'http://x': files have no address. Remove it",
    ),
    (
        FILES + 'mapping = "revops.toml"\nrecord_url = "https://app.hubspot.com/contacts/1"',
        "[sources.crm]: record_url = 'https://app.hubspot.com/contacts/1': no pages of records are"
        " known for files. Remove it",
    ),
    *[
        (
            f'{CRM}record_url = "{address}"',
            f"[sources.crm]: record_url = '{address}': no page of hubspot begins so. Write for example"
            ' "https://app.hubspot.com/contacts/12345678"',
        )
        for address in (
            *(
                "https://app.hubspot.com",
                "http://app.hubspot.com/contacts/1",
                "https://evil.example/contacts/1",
            ),
            *("https://app.hubspot.com/contacts/1/record/0-1/2", "https://app.hubspot.com/contacts/1?x"),
        )
    ],
]


@pytest.mark.parametrize(("text", "said"), [*UNKNOWN_KEYS, *WRONG_TYPES, *BAD_VALUES, *SOURCES])
def test_a_fault_is_named_with_its_place_key_value_and_fix(tmp_path: Path, text: str, said: str) -> None:
    assert faults(write(tmp_path, text)) == [said]


def test_a_mapping_that_does_not_exist_is_looked_for_beside_the_file(tmp_path: Path) -> None:
    (said,) = faults(write(tmp_path, FILES + 'mapping = "maps/crm.toml"'))
    place = tmp_path / "maps" / "crm.toml"
    assert said == f"[sources.crm]: mapping = 'maps/crm.toml': {place} does not exist. Correct the path"


def test_whom_alerts_go_to_is_refused_and_not_repeated(tmp_path: Path) -> None:
    (said,) = faults(write(tmp_path, CRM + '[alerts]\naddresses = ["slack://T1/B1/geheim"]'))
    assert said == (
        "[alerts]: unknown key 'addresses'. There is events, ui_url. Whom alerts go to is a secret: set the"
        " environment variable ALERTS__ADDRESSES"
    )


@pytest.mark.parametrize("text", ['api_key = "sk_live_1"\n' + CRM, CRM + 'api_key = "sk_live_1"'])
def test_a_secret_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    (said,) = faults(write(tmp_path, text))
    assert "unknown key 'api_key'. No secret belongs in this file" in said
    assert "SOURCES__<SOURCE>__API_KEY" in said
    assert "sk_live_1" not in said


def test_a_missing_file_is_named_with_the_ways_to_name_another(tmp_path: Path) -> None:
    (said,) = faults(tmp_path / "revops.toml")
    assert said.endswith(
        "does not exist. Run where revops.toml is, or name it with --config or REVOPS_CONFIG"
    )


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (said,) = faults(tmp_path)
    assert said == f"{tmp_path} cannot be read: Is a directory. Name another with --config"


@pytest.mark.parametrize(
    ("content", "place"), [(b"[company\n", "line 1, column 9"), (b'x = "\xff"', "position 5")]
)
def test_broken_toml_is_named_with_its_place(tmp_path: Path, content: bytes, place: str) -> None:
    path = tmp_path / "revops.toml"
    path.write_bytes(content)
    (said,) = faults(path)
    assert "is not valid TOML" in said
    assert place in said


def test_all_faults_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    text = """
        colour = "blue"
        [company]
        currency = "dollars"
        fiscal_year_start = 0
        [sources.crm]
        silo = "email"
        type = "hubspot"
        [sources.costs]
        silo = "finance"
        type = "files"
        mapping = "costs.toml"
        [policies]
        discounts = "many"
        [thresholds]
        hold_share = -1
    """
    found = faults(write(tmp_path, text))
    for expected in (
        *("'colour'", "currency = 'dollars'", "fiscal_year_start = 0", "silo = 'email'"),
        *("mapping = 'costs.toml'", "discounts = 'many'", "hold_share = -1"),
    ):
        assert [expected in line for line in found].count(True) == 1, expected
    assert len(found) == 7


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ('"2026-10-31"', datetime(2026, 11, 1, 4, tzinfo=UTC)),  # the night summer time ends
        ("2026-10-31", datetime(2026, 11, 1, 4, tzinfo=UTC)),
        ('"2026-11-01"', datetime(2026, 11, 2, 5, tzinfo=UTC)),
        ('"20261031"', datetime(2026, 11, 1, 4, tzinfo=UTC)),
        ('"2026-10-31T18:00:00Z"', datetime(2026, 10, 31, 18, tzinfo=UTC)),
        ("2026-10-31T18:00:00+02:00", datetime(2026, 10, 31, 16, tzinfo=UTC)),
        ('"2026-10-31T18:00"', datetime(2026, 10, 31, 22, tzinfo=UTC)),
    ],
)
def test_as_of_is_a_whole_day_or_an_instant_of_the_companys_time_zone(
    tmp_path: Path, written: str, instant: datetime
) -> None:
    company = f'[company]\ntimezone = "America/New_York"\nas_of = {written}\n'
    assert load_config(write(tmp_path, company + CRM)).company.as_of_instant == instant


def test_business_hours_are_seconds_of_the_day(tmp_path: Path) -> None:
    written = 'business_hours = "06:30-24:00"\nbusiness_days = ["sunday", "monday"]'
    company = load_config(write(tmp_path, f"{CRM}[company]\n{written}")).company
    assert company.business_time == {"opens": 23400, "closes": 86400, "days": [0, 6], "label": "06:30-24:00"}
    with (DBT_PROJECT / "dbt_project.yml").open(encoding="utf-8") as project:
        default = yaml.safe_load(project)["vars"]["business_hours"]
    assert load_config(write(tmp_path, CRM)).company.business_time == default


def test_a_mode_sets_several_policies_and_what_is_given_beside_it_wins(tmp_path: Path) -> None:
    def policies(text: str) -> dict[str, Any]:
        given = load_config(write(tmp_path, f"{CRM}[policies]\n{text}")).policies
        return {name: value for name, value in given.model_dump().items() if value != getattr(USUAL, name)}

    assert policies("") == policies('mode = "canonical"') == {}
    assert policies('mode = "chartmogul"') == {
        "mode": "chartmogul",
        "net_churn_reactivation": True,
        "clv_gross_margin": False,
    }
    assert policies('discounts = "all"\nmode = "stripe"\ngross_margin = 0.5') == {
        "mode": "stripe",
        "churn_date": "cancellation",
        "churn_denominator": "opening_and_new",
        "gross_margin": Decimal("0.5"),
    }


def test_dbt_is_parsed_with_the_same_policies_when_nothing_is_configured() -> None:
    project = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    given = {**project["vars"]["policies"], "gross_margin": str(project["vars"]["policies"]["gross_margin"])}
    assert given == USUAL.model_dump(mode="json")


def test_without_as_of_it_is_now(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, CRM)).company.as_of_instant is None


def test_a_file_written_by_an_editor_that_marks_utf8_is_read(tmp_path: Path) -> None:
    path = tmp_path / "revops.toml"
    path.write_text(CRM, encoding="utf-8-sig")
    assert load_config(path).silos == ["crm"]


@pytest.mark.parametrize(
    ("file", "silos"),
    [
        ("revops.toml", ["crm", "email", "billing", "finance"]),
        ("examples/maven_crm/revops.toml", ["crm"]),
        ("examples/ravenstack/revops.toml", ["billing"]),
    ],
)
def test_the_files_of_the_project_can_be_used(file: str, silos: list[str]) -> None:
    assert load_config(ROOT / file).silos == silos


HEAD = "action,left,right,who,why\n"
OVERRIDES = [
    (
        "action,left,right,who\n",
        "line 1: the columns are action,left,right,who. Write action,left,right,who,why",
    ),
    (HEAD + "join,crm:crm:1,crm:crm:2,ann,same", "line 2: action 'join' is not known. Write link or apart"),
    (
        HEAD + "link,crm:crm:1,company 2,ann,same",
        "line 2: right 'company 2' names no record. Write <kind>:<source>:<id>, such as crm:hubspot:123; "
        "kinds are crm, billing, contact, lead, customer, recipient, event",
    ),
    (
        HEAD + "link,crm:crn:1,crm:crm:2,ann,same",
        "line 2: left 'crm:crn:1': there is no source 'crn' in revops.toml. Did you mean 'crm'?",
    ),
    (
        HEAD + "link,crm:crm:1,billing:pay:2,ann,same",
        "line 2: right 'billing:pay:2': there is no source 'pay' in revops.toml. There is crm",
    ),
    (
        HEAD + "link,crm:crm:1,contact:crm:2,ann,same",
        "line 2: one record is a company's, the other a person's. Name two of one kind",
    ),
    (HEAD + "apart,crm:crm:1,crm:crm:1,ann,same", "line 2: left and right are the same record. Name two"),
    (HEAD + "link,crm:crm:1,crm:crm:2,,same", "line 2: who is empty. Say who decided it"),
    (HEAD + "link,crm:crm:1,crm:crm:2,ann, ", "line 2: why is empty. Give the reason"),
    (HEAD + "\nlink,crm:crm:1,crm:crm:2,ann", "line 3 has 4 columns instead of 5. Quote cells with commas"),
    (
        HEAD + "link,crm:crm:1,crm:crm:2,ann,same\napart,crm:crm:2,crm:crm:1,bo,not",
        "line 3: says apart where line 2 says link. Remove one of them",
    ),
    (
        HEAD + "link,crm:crm:1,crm:crm:2,ann,same\nlink,crm:crm:2,crm:crm:1,bo,same",
        "line 3: says the same as line 2. Remove one of them",
    ),
    (None, "cannot be read: No such file or directory. Correct the path, or remove it"),
]


@pytest.mark.parametrize(("written", "says"), OVERRIDES)
def test_a_bad_decision_about_who_is_who_is_refused(tmp_path: Path, written: str | None, says: str) -> None:
    if written is not None:
        (tmp_path / "who.csv").write_text(written)
    config = write(tmp_path, CRM + '[company]\nidentity_overrides = "who.csv"')
    (fault,) = faults(config)
    assert fault.removeprefix(str(tmp_path / "who.csv")).lstrip(", :") == says


def test_decisions_about_who_is_who(tmp_path: Path) -> None:
    (tmp_path / "who.csv").write_text(
        HEAD
        + 'link,crm:crm:1,crm:crm:2,ann,"one, since 2024"\n\napart,contact:crm:a:b,lead:crm:2,bo,brothers\n',
        encoding="utf-8-sig",
    )
    config = load_config(write(tmp_path, CRM + '[company]\nidentity_overrides = "who.csv"'))
    assert config.company.identity_overrides == tmp_path / "who.csv"
