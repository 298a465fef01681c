"""The `revops` command. Exit codes: 0 done, 1 failed, 2 a gate held KPIs at their last good value."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from settings.errors import UserError
from settings.paths import Home

app = typer.Typer(
    help="CRM, e-mail and billing silos unified into one revenue funnel and ten KPIs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
sandbox_app = typer.Typer(help="The fictional company that speaks the vendors' APIs.", no_args_is_help=True)
app.add_typer(sandbox_app, name="sandbox")

#: The exit code that typer makes of Ctrl-C.
INTERRUPTED = 130


class Format(StrEnum):
    """How results are written."""

    table = "table"
    json = "json"
    csv = "csv"


class ReportFormat(StrEnum):
    """How reports that are no single table are written."""

    table = "table"
    json = "json"


class DigestFormat(StrEnum):
    """How digests are written."""

    markdown = "markdown"
    html = "html"
    json = "json"


class Period(StrEnum):
    """Lengths of time."""

    month = "month"
    quarter = "quarter"
    year = "year"
    all = "all"


class Severity(StrEnum):
    """How bad a gap is."""

    critical = "critical"
    high = "high"
    medium = "medium"


class Silo(StrEnum):
    """What a source knows about."""

    crm = "crm"
    email = "email"
    billing = "billing"
    finance = "finance"


class HeldError(Exception):
    """A gate held KPIs back; everything has been said already."""


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="revops.toml to use; default: REVOPS_CONFIG, else the one here."),
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to write the result.")]
ReportOption = Annotated[ReportFormat, typer.Option("--format", help="How to write the result.")]


@app.command()
def run(
    source: Annotated[
        str | None, typer.Option(help="Load only this source; the others stay as they are.")
    ] = None,
    table: Annotated[str | None, typer.Option(help="With --since: read only this table again.")] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Read again what the source has recorded or changed since.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="With --since: nothing from then on, which comes in its own time.")
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GAP_TYPE", help="Let its gaps, as they are now, hold no KPIs back; repeatable."
        ),
    ] = None,
    reason: Annotated[str | None, typer.Option(help="With --accept: why.")] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build every model, even of what has not changed.")
    ] = False,
    config: ConfigOption = None,
    format: ReportOption = ReportFormat.table,
) -> None:
    """Run the whole pipeline once: load, build, check, publish."""
    from rich.console import Console

    from orchestration import pipeline_screen, reading
    from orchestration.accepting import accepting_tags
    from orchestration.environment import load_environment
    from orchestration.scope import scope
    from orchestration.unchanged import REBUILD_TAG

    environment = load_environment(config)
    asked = scope(environment, source, table, since, until)
    tags = accepting_tags(accept or [], reason)
    if rebuild:
        tags[REBUILD_TAG] = "yes"
    report = pipeline_screen.run_watched(environment, Console(file=sys.stderr), asked, tags)
    if format is ReportFormat.table:
        pipeline_screen.show(environment, report, Console())
    else:
        typer.echo(reading.as_json(pipeline_screen.summary(environment, report)))
    for warning in report.warnings:
        typer.echo(f"revops: warning: {warning}", err=True)
    if report.status == "failed":
        if report.is_published:
            report.errors.append(
                "The marts are published all the same; what is made of that is as of its last good load"
            )
        raise UserError("\n".join(report.errors))
    if report.status == "held":
        raise HeldError


@app.command()
def kpis(
    period: Annotated[Period | None, typer.Option(help="Only periods of this length.")] = None,
    kpi: Annotated[str | None, typer.Option(help="Only this KPI.")] = None,
    by: Annotated[str, typer.Option(help="Segment: team, owner, region, product ...")] = "all",
    as_reported: Annotated[
        bool,
        typer.Option("--as-reported", help="Of complete periods, as first published, and what they are now."),
    ] = False,
    config: ConfigOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Show the published KPIs."""
    from orchestration import reading, screens
    from orchestration.environment import load_environment

    environment = load_environment(config)
    read = reading.reported_kpis if as_reported else reading.kpi_values
    rows = read(environment.home, kpi, period and period.value, by)
    if format is Format.table:
        _console().print(screens.kpis(rows, environment.config.company.name))
    else:
        _write(rows, format)


@app.command()
def explain(
    kpi: Annotated[str, typer.Argument(help="A KPI of `revops kpis`.")],
    period: Annotated[
        str,
        typer.Option(
            help="2026-07, 2026-Q3, 2026 or all; fiscal quarters and years are of the year they begin in."
        ),
    ],
    segment: Annotated[
        str | None, typer.Option(help="One part of the company, such as team=EMEA; default: all of it.")
    ] = None,
    restated: Annotated[
        bool,
        typer.Option(
            "--restated", help="What it was when first published, and which records moved it since."
        ),
    ] = False,
    config: ConfigOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Show what a figure is made of, what changed since the period before, and who contributed what to that.

    csv is all records behind the figure; json has them, too. Reads the warehouse on this machine, which is
    ahead of what is published while a gate holds it back.
    """
    from orchestration import explain_restated, explain_screen, reading
    from orchestration.environment import load_environment
    from orchestration.explain import explain

    environment = load_environment(config)
    answer = explain(environment.home, kpi, period, segment, environment.config.company.fiscal_year_start)
    rows, shown = explain_screen.record_rows, explain_screen.parts
    if restated:
        answer = explain_restated.restated(environment.home, answer)
        rows, shown = explain_restated.record_rows, explain_restated.parts
    if format is Format.json:
        typer.echo(reading.as_json(answer))
    elif format is Format.csv:
        _write(rows(answer), format)
    else:
        console = _console()
        for part in shown(answer):
            console.print(part)


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": ["--revops-help"],
    }
)
def mf(context: typer.Context, config: ConfigOption = None) -> None:
    """Ask MetricFlow for any metric by any dimension: `mf query --metrics win_rate`; see `mf --help`."""
    from orchestration.environment import load_environment
    from orchestration.metricflow import mf

    raise typer.Exit(mf(load_environment(config).home, context.args))


@app.command()
def bottlenecks(
    quarter: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="A day of the quarter; default: the present one."),
    ] = None,
    config: ConfigOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Show where revenue gets stuck, and how much: what waits longer than it usually takes."""
    from orchestration import reading, screens
    from orchestration.environment import load_environment

    environment = load_environment(config)
    rows = reading.bottlenecks(environment.home, quarter and quarter.date())
    if format is Format.table:
        _console().print(screens.bottlenecks(rows, environment.config.company.currency))
    else:
        _write(rows, format)


@app.command()
def gaps(
    owner: Annotated[str | None, typer.Option(help="Only gaps this team must fix.")] = None,
    severity: Annotated[Severity | None, typer.Option(help="Only gaps this bad.")] = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Also gaps that are gone.")] = False,
    trend: Annotated[
        bool,
        typer.Option("--trend", help="Instead, week by week: how many opened, came back, went, are open."),
    ] = False,
    config: ConfigOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Show what the silos disagree on, who must fix it, and what it is worth."""
    from orchestration import reading, screens
    from orchestration.environment import load_environment

    environment = load_environment(config)
    if trend:
        rows = reading.gap_trend(environment.home, owner, severity and severity.value)
        if format is Format.table:
            _console().print(screens.gap_trend(rows, environment.config.company.currency))
        else:
            _write(rows, format)
        return
    rows = reading.gaps(environment.home, owner, severity and severity.value, resolved)
    if format is Format.table:
        _console().print(screens.gaps(rows))
    else:
        from orchestration.links import with_links

        _write(with_links(environment, rows), format)


@app.command()
def digest(
    owner: Annotated[str | None, typer.Option(help="Only this team's.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; default: digest/<ISO week> of the state folder.")
    ] = None,
    format: Annotated[
        DigestFormat | None,
        typer.Option("--format", help="How; json is shown, not written. Default: Markdown and HTML."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write each team's weekly digest: what is new, came back, is open or resolved, and what to do about it.

    The week is the seven days that end with the last day of the published marts.
    """
    from orchestration import digest_pages, reading
    from orchestration.digest import digests
    from orchestration.environment import load_environment

    environment = load_environment(config)
    made, without = digests(environment, owner)
    if format is DigestFormat.json:
        typer.echo(reading.as_json(made))
        return
    formats = [format.value] if format else list(digest_pages.SUFFIXES)
    if made:
        folder = out or environment.home.digests / made[0]["week"]
        written = digest_pages.write(made, without, folder.expanduser(), formats)
        for one in made:
            files = ", ".join(str(file) for file in written[one["team"]])
            typer.echo(f"{one['team']}: {one['open']} open, {one['new']['count']} new: {files}")
    if without:
        typer.echo(f"Nothing to report for {', '.join(without)}")


@app.command()
def audit(
    team: Annotated[str | None, typer.Option(help="Only this team's.")] = None,
    quarter: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="A day of the quarter; default: the latest."),
    ] = None,
    config: ConfigOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Show where the process breaks: skipped stages, missing fields, late hand-offs, work done twice ..."""
    from orchestration import audit_screen, reading
    from orchestration.environment import load_environment

    environment = load_environment(config)
    rows = reading.process_audit(environment.home, quarter and quarter.date(), team)
    if format is Format.table:
        for part in audit_screen.parts(rows, environment.config.company.currency):
            _console().print(part)
    else:
        _write(rows, format)


@app.command("who")
def who_is(
    query: Annotated[
        str, typer.Argument(help="A company's domain or name, an e-mail address, or an id of any silo.")
    ],
    config: ConfigOption = None,
    format: ReportOption = ReportFormat.table,
) -> None:
    """Show who a company or person is: every record, why it is one of theirs, and their funnel.

    Reads the warehouse on this machine, and shows addresses of people, which the published marts do not have.
    Exit code 1 where nobody fits.
    """
    from orchestration import reading, who_screen
    from orchestration.environment import load_environment
    from orchestration.who import who

    answer = who(load_environment(config).home, query)
    if format is ReportFormat.json:
        typer.echo(reading.as_json(answer))
    else:
        console = _console()
        for part in who_screen.parts(answer):
            console.print(part)
    if answer["status"] == "unknown":
        raise UserError(who_screen.unknown(answer))


@app.command()
def sources(config: ConfigOption = None, format: ReportOption = ReportFormat.table) -> None:
    """Show each configured source: reachable, last load, rows, lag, tables nothing reads."""
    from orchestration import reading, screens
    from orchestration.environment import load_environment
    from orchestration.sources import describe

    rows = describe(load_environment(config))
    if format is ReportFormat.table:
        _console().print(screens.sources(rows))
    else:
        typer.echo(reading.as_json(rows))
    if any(row["reachable"] != "yes" for row in rows):
        raise UserError(
            "\n".join(f"{row['source']}: {row['reachable']}" for row in rows if row["reachable"] != "yes")
        )


@app.command()
def erase(
    address: Annotated[str, typer.Argument(help="The person's e-mail address.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    format: ReportOption = ReportFormat.table,
) -> None:
    """Erase a person from every layer of the warehouse, for good; rows and figures stay.

    Do so in the vendors' own systems first: what they send again is found by the gate erasure_incomplete.
    """
    from orchestration import reading
    from orchestration.clock import as_of
    from orchestration.environment import load_environment
    from orchestration.erasing import erase

    environment = load_environment(config)
    if not yes:
        typer.confirm("Erase this person from the warehouse? It cannot be undone", abort=True)
    erasure = erase(environment.home, address, as_of(environment, None, datetime.now(UTC)))
    if format is ReportFormat.json:
        typer.echo(reading.as_json(vars(erasure)))
        return
    for table, rows in erasure.rows.items():
        typer.echo(f"{table}: {rows} row(s)")
    typer.echo(
        f"Erased as {erasure.person[:16]}, and remembered by that. Files that you load stay as they are: "
        "correct them yourself. Other addresses of the same person (revops who) are erased one by one"
    )


@app.command("map")
def map_files(
    name: Annotated[str, typer.Argument(help="Name of the new source.")],
    files: Annotated[list[Path], typer.Argument(help="The files of the export.")],
    silo: Annotated[Silo | None, typer.Option(help="Whose files they are; default: what fits best.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Mapping to write; default: mappings/NAME.toml beside revops.toml.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Draft a mapping of exported files by looking at their columns, for you to finish."""
    from ingestion.mapping_draft import draft
    from settings.config import SOURCE_NAME, config_path

    if not SOURCE_NAME.fullmatch(name):
        raise UserError(f"{name!r} is no source name. Use lower-case letters, digits and _")
    beside = config_path(config).parent
    target = (out or beside / "mappings" / f"{name}.toml").expanduser().resolve()
    if target.exists():
        raise UserError(f"{target} exists already. Remove it, or name another with --out")
    found, text = draft(name, files, target, silo and silo.value)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    shown = os.path.relpath(target, beside)
    typer.echo(f"Wrote {target}. Finish it, then add to {config_path(config).name}:\n")
    typer.echo(f'[sources.{name}]\nsilo = "{found}"\ntype = "files"\nmapping = "{shown}"')


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the web page.")] = 3000,
    config: ConfigOption = None,
) -> None:
    """Open Dagster's UI on 127.0.0.1, with its daily schedule running."""
    from orchestration.environment import load_environment
    from orchestration.ui import serve

    serve(load_environment(config), port)


@app.command()
def prepare(config: ConfigOption = None) -> None:
    """Make the state folder ready for Dagster's own commands, as a deployment does (docs/production.md)."""
    from orchestration.dbt_manifest import build_manifest
    from orchestration.environment import load_environment, prepare_folders
    from orchestration.lineage import build_lineage

    environment = load_environment(config)
    prepare_folders(environment.home)
    build_manifest(environment)
    build_lineage(environment)
    typer.echo(f"{environment.home.root} is ready for {environment.config.company.name}")


@app.command()
def alerts(
    test: Annotated[bool, typer.Option("--test", help="Send a message to every address.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show on what alerts are sent, and to which kinds of address; with --test, whether they arrive."""
    from orchestration.alert_delivery import HOW_TO, Alert, addresses, tried
    from orchestration.environment import load_environment

    environment = load_environment(config)
    asked = environment.config.alerts
    found = addresses(asked.ui_url)
    if not test:
        events = ", ".join(asked.events) or "nothing"
        typer.echo(f"Alerts on: {events}. Links lead to {asked.ui_url}")
        typer.echo(f"They go to: {', '.join(address.label for address in found) or f'nobody. {HOW_TO}'}")
        return
    body = f"{environment.config.company.name}: this is where alerts arrive.\n\n{asked.ui_url}"
    refused = []
    for address, why in tried(found, Alert("info", "A test of revops alerts", body)):
        typer.echo(f"{address.label}: {'not sent' if why else 'sent'}")
        refused += [f"address {address.label}: {why}"] if why else []
    if refused:
        raise UserError("\n".join(refused))


@sandbox_app.command("serve")
def sandbox_serve(config: ConfigOption = None) -> None:
    """Serve the fictional company's three APIs until interrupted."""
    from sandbox.server import serve
    from sandbox.state import State, prepare

    home, asked = _sandbox(config)
    prepare(home.sandbox, State.of(asked))
    typer.echo(f"The sandbox company answers at http://127.0.0.1:{asked.port} (Ctrl-C stops it)", err=True)
    serve(home.sandbox, "127.0.0.1", asked.port)


@sandbox_app.command("advance")
def sandbox_advance(
    days: Annotated[int, typer.Option(min=1, help="How far.")] = 30, config: ConfigOption = None
) -> None:
    """Let time pass in the fictional company."""
    from sandbox.state import State, advance, prepare

    home, asked = _sandbox(config)
    prepare(home.sandbox, State.of(asked))
    typer.echo(f"The sandbox company's clock is at {advance(home.sandbox, days).now:%Y-%m-%d %H:%M} UTC")


@sandbox_app.command("reset")
def sandbox_reset(config: ConfigOption = None) -> None:
    """Set the fictional company back to its beginning."""
    from sandbox.state import State, write_state

    home, asked = _sandbox(config)
    state = write_state(home.sandbox, State.of(asked))
    typer.echo(f"The sandbox company's clock is at {state.now:%Y-%m-%d %H:%M} UTC")


def _sandbox(config: Path | None) -> tuple[Home, Any]:
    from orchestration.environment import load_environment

    environment = load_environment(config)
    if environment.config.sandbox is None:
        raise UserError(
            f"{environment.config.path} has no sandbox. Add the table [sandbox], or name another file"
        )
    return environment.home, environment.config.sandbox


def _console() -> Any:
    from rich.console import Console

    console = Console()
    # Piped into a file or a pager there is no width to fit into.
    return console if console.is_terminal else Console(width=200)


def _write(rows: list[dict[str, Any]], format: Format) -> None:
    from orchestration import reading, screens

    typer.echo(reading.as_json(rows) if format is Format.json else screens.as_csv(rows).rstrip("\n"))


def main() -> NoReturn:
    """Entry point: every way a command can end, as an exit code and at most one message."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to stop is as good as Ctrl-C
    try:
        app()
        sys.exit(0)
    except SystemExit as done:
        if done.code == INTERRUPTED:
            _fail("interrupted; what was published is as it was, and the next run goes on from here")
        # A wrong option is the command line's fault; 2 is kept for the gates.
        sys.exit(1 if done.code == 2 else done.code)
    except HeldError:
        sys.exit(2)
    except UserError as exc:
        _fail(str(exc))
    except Exception as exc:
        log = Home.from_environment().root / "error.log"
        with contextlib.suppress(OSError):
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(traceback.format_exc(), encoding="utf-8")
        _fail(f"a fault of the program: {type(exc).__name__}: {exc}. Report it with {log}")


def _fail(message: str) -> NoReturn:
    typer.echo(f"revops: {message}", err=True)
    sys.exit(1)
