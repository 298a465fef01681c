"""revops.toml, read and checked before anything runs.

Every fault names the file, the place, the key, the value and the fix, all faults at once. Secrets have no
place here: dlt's providers hold them.
"""

from __future__ import annotations

import os
import re
import tomllib
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlparse
from zoneinfo import ZoneInfo, available_timezones

from croniter import croniter  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from settings.errors import UserError
from settings.overrides import override_faults
from settings.vendors import FILES, record_pages, vendors

SILOS = ("crm", "email", "billing", "finance")
DEFAULT_FILE = "revops.toml"
EMAIL_EVENTS = ("sent", "delivered", "open", "click", "reply", "bounce", "unsubscribe", "complaint")
LEAD_DATES = ("created_at", "mql_at", "sql_at", "first_response_at", "converted_at")
ALERT_EVENTS = ("failed", "held")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HOURS = re.compile(r"((?:[01]\d|2[0-3]):[0-5]\d)-((?:[01]\d|2[0-3]):[0-5]\d|24:00)")
SECRET = re.compile("key|token|secret|password")
LOGIN = re.compile(r"//[^/\s]+@")
ALERTS_GO_TO = "Whom alerts go to is a secret: set the environment variable ALERTS__ADDRESSES"
SOURCE_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Company(_Section):
    """[company]: whose figures, in which currency, zone and calendar."""

    name: str = Field("My company", min_length=1)
    currency: str = "USD"
    timezone: str = "UTC"
    fiscal_year_start: int = Field(1, ge=1, le=12)
    business_hours: str = "09:00-17:00"
    business_days: list[str] = list(WEEKDAYS[:5])
    as_of: datetime | date | None = None
    #: Events and invoices since this month can be loaded again by month, in Dagster's UI.
    history_from: date = Field(date(2020, 1, 1), strict=False)
    identity_overrides: Path | None = Field(
        None, strict=False
    )  # decisions about who is who; settings.overrides

    @field_validator("currency")
    @classmethod
    def _code(cls, value: str) -> str:
        if not re.fullmatch("[A-Z]{3}", value):
            raise ValueError('not a currency; write its code of three capital letters, such as "EUR"')
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            close = get_close_matches(value, available_timezones(), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            raise ValueError(f"no time zone of that name{hint} Use an IANA name such as 'Europe/Berlin'")
        return value

    @field_validator("business_hours")
    @classmethod
    def _hours(cls, value: str) -> str:
        found = HOURS.fullmatch(value)
        if not found or _seconds(found[1]) >= _seconds(found[2]):
            raise ValueError('no hours of a day; write when they begin and end, such as "09:00-17:00"')
        return value

    @field_validator("business_days")
    @classmethod
    def _days(cls, value: list[str]) -> list[str]:
        for day in value:
            if day not in WEEKDAYS:
                raise ValueError(f"no day of the week is called {day!r}{_hint(day, list(WEEKDAYS))}")
        if not value:
            raise ValueError('nobody would ever work; write days such as ["monday", "tuesday"]')
        return value

    @property
    def business_time(self) -> dict[str, Any]:
        """Hours in seconds of the day, days of the week from Monday, which is 0, and the hours as written."""
        opens, closes = (_seconds(hour) for hour in self.business_hours.split("-"))
        days = sorted({WEEKDAYS.index(day) for day in self.business_days})
        return {"opens": opens, "closes": closes, "days": days, "label": self.business_hours}

    @field_validator("as_of", mode="before")
    @classmethod
    def _moment(cls, value: Any) -> Any:
        """A day (the whole of it counts) or an instant; TOML may give either as text or as its own type."""
        moment = value
        for read in (date.fromisoformat, datetime.fromisoformat):
            if isinstance(moment, str):
                with suppress(ValueError):
                    moment = read(moment)
        if not isinstance(moment, date) or not 1970 <= moment.year < 2200:
            raise ValueError('write a day as "2026-10-31" or an instant as "2026-10-31T18:00:00Z"')
        return moment

    @field_validator("history_from")
    @classmethod
    def _month(cls, value: date) -> date:
        if value.day != 1 or not 1970 <= value.year < 2200:
            raise ValueError('write the first day of a month, such as "2020-01-01"')
        return value

    @property
    def as_of_instant(self) -> datetime | None:
        """The configured `as_of` as the first instant that no longer counts; None means now."""
        if isinstance(self.as_of, datetime):
            return self.instant(self.as_of)
        if self.as_of is None:
            return None
        return self.instant(datetime.combine(self.as_of + timedelta(days=1), time()))

    def instant(self, moment: datetime) -> datetime:
        """A moment somebody wrote; without a zone it is in the reporting time zone."""
        return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(self.timezone))


class SourceConfig(_Section):
    """[sources.<name>]: one system that data comes from. `name` is the table's key."""

    name: str
    silo: Literal["crm", "email", "billing", "finance"]
    type: str
    base_url: str | None = None
    record_url: str | None = None  # what pages of its records begin with, for people; settings.vendors
    mapping: Path | None = None
    lag_minutes: int = Field(10, ge=0)  # how far back a load looks behind its cursor
    max_age_days: int | None = Field(None, ge=1)  # the source's SLA: older newest records hold KPIs
    # Contract table -> column to add to it -> the vendor's field that it is.
    fields: dict[str, dict[str, str]] = Field(default_factory=dict)

    @field_validator("base_url", "record_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return value and _web_address(value, "https://api.example.com")


#: What a mode of [policies] sets otherwise than the defaults: how another vendor counts.
MODES: dict[str, dict[str, Any]] = {
    "canonical": {},
    "chartmogul": {"net_churn_reactivation": True, "clv_gross_margin": False},
    # https://support.stripe.com/questions/calculating-churn-rate-in-billing and .../billing-analytics
    "stripe": {
        "churn_date": "cancellation",
        "discounts": "forever_only",
        "churn_denominator": "opening_and_new",
    },
}


class Policies(_Section):
    """[policies]: the switches of the KPI dictionary, with its defaults.

    `mode` sets several of them at once; a key that is given beside it wins.
    """

    mode: Literal["canonical", "chartmogul", "stripe"] = "canonical"
    past_due_grace_days: int = Field(30, ge=0)
    churn_date: Literal["service_end", "cancellation"] = "service_end"
    discounts: Literal["all", "forever_only", "none"] = "all"
    gross_margin: Decimal = Field(Decimal("0.8"), gt=0, le=1, strict=False)
    renewal_grace_days: int = Field(90, ge=0)
    renewal_min_term_months: int = Field(3, ge=1)
    lead_sla_minutes: int = Field(60, ge=1)  # of business hours
    net_churn_reactivation: bool = False
    clv_gross_margin: bool = True
    churn_denominator: Literal["opening", "opening_and_new"] = "opening"

    @model_validator(mode="before")
    @classmethod
    def _bundled(cls, given: Any) -> Any:
        bundle = MODES.get(str(given.get("mode"))) if isinstance(given, dict) else None
        return {**bundle, **given} if bundle else given


class Funnel(_Section):
    """[funnel]: what in the silos counts as a step."""

    # E-mail events by a person; what machines do never counts.
    contacted: list[str] = ["sent"]
    engaged: list[str] = ["open", "click", "reply"]
    replied: list[str] = ["reply"]
    # Dates of crm.leads.
    lead: str = "created_at"
    mql: str = "mql_at"
    sql: str = "sql_at"
    # Statuses of leads that are as good as the date, should that be missing.
    mql_statuses: list[str] = []
    sql_statuses: list[str] = []
    # Labels of opportunity stages whose first visit is as good as the lead's date.
    sql_stages: list[str] = []

    @field_validator("contacted", "engaged", "replied")
    @classmethod
    def _events(cls, value: list[str]) -> list[str]:
        for event in value:
            if event not in EMAIL_EVENTS:
                raise ValueError(f"no e-mail event is called {event!r}{_hint(event, list(EMAIL_EVENTS))}")
        return value

    @field_validator("lead", "mql", "sql")
    @classmethod
    def _lead_date(cls, value: str) -> str:
        if value not in LEAD_DATES:
            raise ValueError(f"crm.leads has no such date{_hint(value, list(LEAD_DATES))}")
        return value


class Thresholds(_Section):
    """[thresholds]: the limits of the gates and of the process audit."""

    # Share of the KPI's base that money at risk of a critical gap type may reach before it holds KPIs back.
    hold_share: Decimal = Field(Decimal("0.01"), ge=0, le=1, strict=False)
    # How long after it was won a deal may take to become a subscription (marts.process_audit).
    won_to_billed_days: int = Field(30, ge=0)


class Alerts(_Section):
    """[alerts]: what people hear of, and where links lead. Whom it goes to is a secret: ALERTS__ADDRESSES."""

    ui_url: str = "http://127.0.0.1:3000"  # where people open Dagster's UI
    events: list[str] = list(ALERT_EVENTS)  # a run failed; a gate holds KPIs back, or no longer

    @field_validator("ui_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if urlparse(value).username is not None:
            raise ValueError("everybody who gets an alert would see the login. Write the address without it")
        return _web_address(value, "https://dagster.example.com")

    @field_validator("events")
    @classmethod
    def _events(cls, value: list[str]) -> list[str]:
        for event in value:
            if event not in ALERT_EVENTS:
                raise ValueError(f"no alert is sent on {event!r}{_hint(event, list(ALERT_EVENTS))}")
        return value


class Sandbox(_Section):
    """[sandbox]: the fictional company that `revops run` starts beside the run.

    Each of `vendors` is a source of that name, without a table of its own.
    """

    vendors: list[str] = Field(default_factory=list)
    port: int = Field(8600, ge=1, le=65535)
    seed: int = Field(7, ge=0)
    months: int = Field(24, ge=1, le=120)
    size: int = Field(300, ge=20, le=100_000)
    noise: bool = (
        True  # typos, aliases, duplicates and the like: whose a record is, not every one says plainly
    )


class Schedules(_Section):
    """[schedules]: when `revops ui` or a deployment runs what, as cron in the company's time zone."""

    daily: str = "0 5 * * *"  # everything
    hourly: str = "30 * * * *"  # e-mail and billing

    @field_validator("daily", "hourly")
    @classmethod
    def _cron(cls, value: str) -> str:
        if not croniter.is_valid(value) or len(value.split()) != 5:
            raise ValueError('not a cron expression of five fields; write one such as "0 5 * * *"')
        return value


class Config(_Section):
    """The whole of revops.toml."""

    path: Path
    company: Annotated[Company, Field(default_factory=Company)]
    sources: dict[str, SourceConfig]
    policies: Annotated[Policies, Field(default_factory=Policies)]
    funnel: Annotated[Funnel, Field(default_factory=Funnel)]
    thresholds: Annotated[Thresholds, Field(default_factory=Thresholds)]
    schedules: Annotated[Schedules, Field(default_factory=Schedules)]
    alerts: Annotated[Alerts, Field(default_factory=Alerts)]
    sandbox: Sandbox | None = None

    @property
    def silos(self) -> list[str]:
        """The silos that have a source, in the contract's order."""
        return [silo for silo in SILOS if any(source.silo == silo for source in self.sources.values())]


def _web_address(value: str, example: str) -> str:
    try:
        parts = urlparse(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f'not an address; write one such as "{example}"')
    return value.rstrip("/")


def _seconds(hour: str) -> int:
    hours, minutes = hour.split(":")
    return int(hours) * 3600 + int(minutes) * 60


def config_path(given: Path | None = None) -> Path:
    """The file to read: `given`, else REVOPS_CONFIG, else revops.toml where the command runs."""
    return Path(given or os.environ.get("REVOPS_CONFIG") or DEFAULT_FILE).expanduser().resolve()


def load_config(path: Path) -> Config:
    """Read and check a revops.toml. Raises `UserError` naming every fault."""
    raw = _toml(path)
    faults: list[str] = []
    sources = raw.get("sources") or {}
    if not isinstance(sources, dict) or not (sources or _vendors(raw.get("sandbox"))):
        faults.append(
            '[sources]: no source is configured. Add for example [sources.hubspot] with silo = "crm" and '
            'type = "hubspot"'
        )
        sources = {}
    demonstrated, found = _demonstrated(raw.get("sandbox"), sources)
    faults += found
    sources = demonstrated | sources
    for name, entry in sources.items():
        faults += _source_faults(path, name, entry)
    given = {**raw, "path": path, "sources": {n: _named(n, e, path) for n, e in sources.items()}}
    company = raw.get("company")
    if isinstance(company, dict) and isinstance(file := company.get("identity_overrides"), str):
        given["company"] = {**company, "identity_overrides": path.parent / file}
        faults += override_faults(path.parent / file, sources)
    try:
        if "path" in raw:
            faults.append("unknown key 'path'. Remove it")
        config = Config.model_validate(given)
    except ValidationError as exc:
        faults += [_fault(error) for error in exc.errors(include_url=False)]
    if faults:
        listed = "\n".join(f"  - {fault}" for fault in dict.fromkeys(faults))
        raise UserError(f"{path} cannot be used:\n{listed}")
    return config


def _demonstrated(sandbox: Any, sources: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The sources that [sandbox] vendors stands for, and what is wrong with that list."""
    found: dict[str, Any] = {}
    faults = []
    taken: dict[str, str] = {}
    for vendor in _vendors(sandbox):
        where = f"[sandbox]: vendors: {vendor!r}"
        silo = vendors().get(vendor)
        if silo is None:
            faults.append(f"{where}: no such vendor{_hint(vendor, list(vendors()))}")
        elif vendor in sources:
            faults.append(f"{where} is a table under [sources] too. Remove one of them")
        elif silo in taken:
            faults.append(
                f"{where} shows the same company as {taken[silo]!r}, which would count twice. "
                "Remove one of them"
            )
        else:
            taken[silo] = vendor
            base_url = (
                f"http://127.0.0.1:{sandbox.get('port', Sandbox.model_fields['port'].default)}/{vendor}"
            )
            found[vendor] = {"silo": silo, "type": vendor, "base_url": base_url}
    return found, faults


def _vendors(sandbox: Any) -> list[str]:
    listed = sandbox.get("vendors") if isinstance(sandbox, dict) else None
    return [vendor for vendor in listed if isinstance(vendor, str)] if isinstance(listed, list) else []


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UserError(
            f"{path} does not exist. Run where revops.toml is, or name it with --config or REVOPS_CONFIG"
        ) from None
    except OSError as exc:
        raise UserError(f"{path} cannot be read: {exc.strerror}. Name another with --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UserError(f"{path} is not valid TOML: {exc}. Correct that place") from None


def _named(name: str, entry: Any, path: Path) -> Any:
    if not isinstance(entry, dict):
        return entry
    mapping = entry.get("mapping")
    return {**entry, "name": name, "mapping": path.parent / mapping if isinstance(mapping, str) else None}


def _source_faults(path: Path, name: str, entry: Any) -> list[str]:
    """What pydantic cannot know of a source: its type, and what goes with it."""
    where = f"[sources.{name}]"
    faults = []
    if not SOURCE_NAME.fullmatch(name):
        faults.append(f"{where}: {name!r} is no source name. Use lower-case letters, digits and _")
    if not isinstance(entry, dict):
        return faults
    if "name" in entry:
        faults.append(f"{where}: unknown key 'name'. The name is the table's key; remove it")
    kind, silo = entry.get("type"), entry.get("silo")
    known = [*vendors(), FILES]
    if isinstance(kind, str) and kind not in known:
        faults.append(f"{where}: type = {kind!r}: no such type{_hint(kind, known)}")
    elif isinstance(kind, str) and silo in SILOS and silo != (right := vendors().get(kind, silo)):
        faults.append(f'{where}: silo = {silo!r}: {kind} is a source of silo {right}. Write silo = "{right}"')
    mapping = entry.get("mapping")
    if kind == FILES and mapping is None:
        faults.append(f'{where}: a source of type "files" needs a mapping. Add mapping = "<file>.toml"')
    elif kind != FILES and mapping is not None:
        faults.append(f'{where}: mapping = {mapping!r}: only sources of type "files" have one. Remove it')
    elif mapping is not None and not isinstance(mapping, str):
        faults.append(f'{where}: mapping = {mapping!r}: write the path of a file, such as "export.toml"')
    elif isinstance(mapping, str) and not (path.parent / mapping).is_file():
        faults.append(
            f"{where}: mapping = {mapping!r}: {path.parent / mapping} does not exist. Correct the path"
        )
    if kind == FILES and "base_url" in entry:
        faults.append(f"{where}: base_url = {entry['base_url']!r}: files have no address. Remove it")
    return faults + _record_url_faults(where, kind, entry.get("record_url"))


def _record_url_faults(where: str, kind: Any, address: Any) -> list[str]:
    """Whether pages of a vendor's records can begin so. What is no text is refused elsewhere."""
    if not isinstance(address, str) or not isinstance(kind, str) or kind not in (*vendors(), FILES):
        return []
    pages = record_pages(kind)
    if pages is None:
        return [f"{where}: record_url = {address!r}: no pages of records are known for {kind}. Remove it"]
    if not pages.fits(address.rstrip("/")):
        return [
            f"{where}: record_url = {address!r}: no page of {kind} begins so. Write for example "
            f'"{pages.example}"'
        ]
    return []


def _fault(error: ErrorDetails) -> str:
    """One of pydantic's findings in the words of the file."""
    *tables, key = error["loc"]
    where = f"[{'.'.join(map(str, tables))}]: " if tables else ""
    if error["type"] == "extra_forbidden":
        if tables == ["alerts"]:
            hint = _hint(str(key), _keys(tables))
            return f"{where}unknown key {key!r}{hint}{'' if hint.endswith('?') else '.'} {ALERTS_GO_TO}"
        return f"{where}unknown key {key!r}{_hint(str(key), _keys(tables))}"
    if error["type"] == "missing":
        return f"{where}{key!r} is missing. Add it"
    if error["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return f"{where}{key!r} must be a table; write it as [{'.'.join(map(str, error['loc']))}]"
    reason = error["msg"].removeprefix("Value error, ")
    given = error["input"]
    shown = str(given).lower() if isinstance(given, bool) else LOGIN.sub("//(login)@", repr(given))
    return f"{where}{key} = {shown}: {reason[0].lower()}{reason[1:]}"


def _keys(tables: list[int | str]) -> list[str]:
    sections: dict[str, type[BaseModel]] = {
        "company": Company,
        "sources": SourceConfig,
        "policies": Policies,
        "funnel": Funnel,
        "thresholds": Thresholds,
        "alerts": Alerts,
        "sandbox": Sandbox,
    }
    section = sections[str(tables[0])] if tables else Config
    return [key for key in section.model_fields if key not in ("path", "name") or section is Company]


def _hint(given: str, known: list[str]) -> str:
    close = get_close_matches(given, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    if SECRET.search(given.lower()):
        return ". No secret belongs in this file: set the environment variable SOURCES__<SOURCE>__API_KEY"
    return f". There is {', '.join(sorted(known))}"
