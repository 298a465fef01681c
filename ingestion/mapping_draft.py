"""A first mapping for an export: which contract table each file fills, and how its columns read.

In: files, and the silo if the user says it. Out: the text of a mapping file that loads as it is where the
guesses hold, with what could not be guessed as comments for the user to finish. Names are compared with the
contract's and with what other tools call the same thing; how a column reads is tried on its first rows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import duckdb

from ingestion.contract import FILLED_IN, ContractTable, contract
from ingestion.files_reader import literal, open_files
from ingestion.mapping import FileInput, FileMapping, file_kind, identifier
from settings.errors import UserError

#: What tools call the columns of the contract; `{one}` is the table's name in the singular.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "account_id": ("account", "company_id", "company", "organization_id", "organisation_id", "customer"),
    "amount": ("value", "deal_value", "close_value", "amount_usd", "total_amount", "price"),
    "annual_revenue": ("revenue", "turnover"),
    "close_date": ("expected_close_date", "closing_date", "close"),
    "closed_at": ("closed", "closed_date", "won_time", "closed_on"),
    "country": ("office_location", "billing_country", "country_code"),
    "created_at": (
        "created",
        "create_date",
        "created_date",
        "createdate",
        "engage_date",
        "signup_date",
        "added",
    ),
    "customer_id": ("customer", "account_id", "client_id", "client"),
    "domain": ("website", "web_site", "company_domain", "url"),
    "email": ("e_mail", "email_address", "mail"),
    "employee_count": ("employees", "number_of_employees", "headcount"),
    "ended_at": ("end_date", "ended", "end"),
    "first_name": ("firstname", "given_name"),
    "industry": ("sector", "vertical"),
    "issued_at": ("invoice_date", "date", "issue_date"),
    "job_title": ("title", "position"),
    "last_name": ("lastname", "surname", "family_name"),
    "lead_source": ("source", "channel", "origin"),
    "name": ("{one}_name", "account_name", "company_name", "{one}", "full_name", "title"),
    "owner_id": ("owner", "sales_agent", "sales_rep", "rep", "account_manager", "assigned_to"),
    "product": ("product_name", "plan", "series"),
    "region": ("regional_office", "territory"),
    "stage": ("deal_stage", "status", "pipeline_stage", "sales_stage"),
    "started_at": ("start_date", "started", "start"),
    "unit_amount": ("mrr", "mrr_amount", "price", "unit_price"),
}
#: What tools call the tables of the contract.
TABLES: dict[str, tuple[str, ...]] = {
    "accounts": ("companies", "organizations", "organisations"),
    "contacts": ("people", "persons"),
    "opportunities": ("deals", "pipeline", "sales_pipeline", "sales"),
    "owners": ("users", "reps", "agents", "sales_teams"),
    "customers": ("accounts", "clients"),
    "spend": ("costs", "budget", "expenses"),
}
DATE_FORMATS = (
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%d.%m.%Y %H:%M",
    "%m/%d/%Y %H:%M",
)
SAMPLE = 1000
CLOSE = 0.85
#: A file that shares less than this with a table (a column counts 1, the key 2 more, a name 4) is not it.
LEAST_SCORE = 3


@dataclass(frozen=True)
class _Sample:
    """A file's first rows, in a DuckDB that has them as the view `name`."""

    connection: duckdb.DuckDBPyConnection
    name: str
    columns: list[str]

    def reads(self, column: str, expression: str) -> bool:
        """Whether an expression has a value wherever the column has one, and has one at all."""
        value = f"nullif(trim({identifier(column)}), '')"
        bad = f"count(*) filter (where {value} is not null and ({expression}) is null)"
        query = f"select {bad}, count({value}) from (from {identifier(self.name)} limit {SAMPLE})"  # noqa: S608
        try:
            bad, given = self.connection.execute(query).fetchone() or (1, 0)
        except duckdb.Error:
            return False
        return bool(given) and not bad

    def is_key(self, column: str) -> bool:
        """Whether the column tells all rows apart."""
        if not column:
            return False
        name = identifier(column)
        query = f"select count(*) = count(distinct {name}) and count(*) > 0 from {identifier(self.name)}"  # noqa: S608
        return bool((self.connection.execute(query).fetchone() or (False,))[0])


def draft(name: str, files: Iterable[Path], target: Path, silo: str | None) -> tuple[str, str]:
    """The silo and the text of a mapping, to be written to `target`.

    Raises `UserError` for a file that is not there or cannot be read, and where no contract table fits.
    """
    paths = [path.expanduser().resolve() for path in files]
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path} does not exist. Name the files of the export")
    root = Path(os.path.commonpath([path.parent for path in paths]))
    inputs = {}
    for path in paths:
        key = _snake(path.name.split(".")[0]) or "file"
        while key in inputs:
            key += "_2"
        inputs[key] = FileInput(key, str(path.relative_to(root)), (path,), file_kind(path, str(path)), {})
    with open_files(FileMapping(target, inputs, {})) as connection:
        samples = [_Sample(connection, key, _columns(connection, key)) for key in inputs]
        chosen_silo = silo or _likeliest_silo(samples)
        parts = _parts(samples, chosen_silo)
    place = os.path.relpath(root, target.parent)
    listed = "\n".join(f'{key} = "{one.pattern}"' for key, one in inputs.items())
    head = (
        f"# First mapping of {name} to the silo contract ({chosen_silo}), drafted from the files' columns.\n"
        "# Check every line; what is after a # could not be guessed. docs/add_a_source.md says more.\n"
    )
    return chosen_silo, f'{head}root = "{place}"\n\n[files]\n{listed}\n\n' + "\n".join(parts)


def _columns(connection: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    return [row[0] for row in connection.execute(f"describe {identifier(name)}").fetchall()]


def _likeliest_silo(samples: list[_Sample]) -> str:
    scores = {
        silo: sum(max(_score(sample, table, spec) for table, spec in tables.items()) for sample in samples)
        for silo, tables in contract().items()
    }
    return max(scores, key=lambda silo: scores[silo])


def _score(sample: _Sample, table: str, spec: ContractTable) -> float:
    found = _matched(sample, table, spec)
    names = {_snake(sample.name), _snake(sample.name).rstrip("s") + "s"}
    named = any(word in name for name in names for word in (table, *TABLES.get(table, ())))
    return len(found) + 2 * (spec.primary_key[0] in found) + 4 * named


def _parts(samples: list[_Sample], silo: str) -> list[str]:
    """Every file as the table it fits best that no other file fits better; else as a remark."""
    known = contract()[silo]
    left, taken, parts = list(samples), set(), []
    while left:
        free = [table for table in known if table not in taken]
        fits = [
            (_score(sample, table, known[table]), -place, table)
            for place, sample in enumerate(left)
            for table in free
        ]
        score, place, table = max(fits, default=(0.0, 0, ""))
        sample = left.pop(-place)
        if score < LEAST_SCORE:
            parts.append(f"# {sample.name} fits no table yet; it has {', '.join(sample.columns)}\n")
            continue
        taken.add(table)
        parts.append(_table_text(sample, table, known[table]))
    return parts


def _table_text(sample: _Sample, table: str, spec: ContractTable) -> str:
    """One file as a table of the mapping."""
    found = _matched(sample, table, spec)
    lines, rest = [], []
    for key in spec.primary_key:
        if key not in found:
            free = [c for c in sample.columns if c not in found.values() and sample.is_key(c)]
            if free and len(spec.primary_key) == 1:
                found = {key: free[0], **found}
            else:
                lines.append(f'# {key} = "?"  # the key: no column was recognised, choose one')
    for column, kind in spec.columns.items():
        if column in FILLED_IN:
            continue
        if column == "outcome" and column not in found and "stage" in found:
            stage = f"lower({_plain(found['stage'])})"
            cases = " ".join(f"when {stage} like '%{end}%' then '{end}'" for end in ("won", "lost"))
            outcome = f"case {cases} else 'open' end"
            lines.append(f"outcome = {_toml(outcome)}")
            continue
        if column not in found:
            rest.append(column)
            continue
        read = _reading(sample, found[column], kind)
        lines.append(
            f"{column} = {_toml(read)}"
            if read
            else f"# {column} = {_toml(identifier(found[column]))}  # does not read as {kind.lower()}"
        )
    unused = [column for column in sample.columns if column not in found.values()]
    comments = [f"# not used yet: {', '.join(unused)}"] if unused else []
    comments.append(f"# still empty: {', '.join(rest)}")
    head = f'[tables.{table}]\nfrom = "{sample.name}"\n[tables.{table}.columns]'
    return "\n".join([head, *lines, *comments]) + "\n"


def _matched(sample: _Sample, table: str, spec: ContractTable) -> dict[str, str]:
    """Contract column -> the file's column that seems to be it; each is used once."""
    one = {"opportunities": "opportunity", "activities": "activity"}.get(table, table.removesuffix("s"))
    names = {_snake(column).removesuffix("_flag"): column for column in sample.columns}
    found: dict[str, str] = {}

    def take(column: str, candidates: Iterable[str]) -> None:
        for candidate in candidates:
            if column not in found and candidate in names and names[candidate] not in found.values():
                found[column] = names[candidate]

    columns = [column for column in spec.columns if column not in FILLED_IN]
    for column in columns:
        take(column, [column])
    if len(spec.primary_key) == 1:
        take(spec.primary_key[0], [f"{one}_id", "id", "key", "number"])
    for column in columns:
        take(column, [synonym.format(one=one) for synonym in SYNONYMS.get(column, ())])
    if len(spec.primary_key) == 1 and not sample.is_key(found.get(spec.primary_key[0], "")):
        found.pop(spec.primary_key[0], None)
    for column in columns:
        take(column, get_close_matches(column, names, n=1, cutoff=CLOSE))
    return found


def _reading(sample: _Sample, column: str, kind: str) -> str | None:
    """An expression by which the column's first rows all read as a type; None if there is none."""
    name = identifier(column)
    plain = _plain(column)
    kind = kind.lower()
    if kind.startswith("varchar"):
        return plain
    if sample.reads(column, f"try_cast({name} as {kind})"):
        return plain
    if kind.startswith("timestamp") or kind == "date":
        for form in DATE_FORMATS:
            if sample.reads(column, f"try_strptime({name}, {literal(form)})"):
                return f"strptime({plain}, {literal(form)})"
    elif kind.startswith(("decimal", "bigint", "integer")):
        digits = "regexp_replace({}, '[^0-9.-]', '', 'g')"
        if sample.reads(column, f"try_cast({digits.format(name)} as {kind})"):
            return digits.format(plain)
    elif sample.reads(column, f"case when lower({name}) in ('yes', 'no', 'y', 'n') then true end"):
        return f"lower({plain}) in ('yes', 'y')"
    return None


def _plain(column: str) -> str:
    return column if re.fullmatch("[a-z_][a-z0-9_]*", column) else identifier(column)


def _snake(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")


def _toml(expression: str) -> str:
    escaped = expression.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
