"""What Dagster's catalogue says of each asset: whose it is, of what kind, in which group, of what columns.

Pure functions of what is declared elsewhere: the connectors' docstrings and tables, revops.toml, and the dbt
project, where a model's `meta` says its `owner_team` and, of a mart, who reads it (`read_by`).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import dagster as dg

from ingestion.core import ADDED, TableSpec
from ingestion.pages import about
from orchestration.keys import api_key, raw_key
from settings.config import SourceConfig
from settings.vendors import FILES

#: Who looks after what is technical: connections, raw and staging tables.
DATA_ENGINEERING = "data engineering"

LAYER, SILO, VENDOR = "revops/layer", "revops/silo", "revops/vendor"

#: Schemas of the dbt project that are a silo's contract.
SILOS = ("crm", "email", "billing", "finance")

#: Columns of one asset, each with the columns it is made of: an asset's key and a column.
Lineage = Mapping[str, Sequence[tuple[dg.AssetKey, str]]]

_ADDED = {
    "_extra": "What the source sent beyond the columns that are known, as JSON.",
    "_hash": "Of the row's values: a row is written only when it differs.",
    "_loaded_at": "When this version of the row was loaded.",
}
_IS_DELETED = "Deleted at the source, or listed no more."
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_.-]+")


def owners(team: str) -> list[str]:
    """An owner team of kpi_definitions or the gates, as Dagster's owner: `team:customer_success`."""
    return [f"team:{team.replace(' ', '_')}"]


def tags(layer: str, silo: str | None = None, vendor: str | None = None) -> dict[str, str]:
    """By what assets can be searched for, in the characters that Dagster allows."""
    found = {LAYER: layer, SILO: silo, VENDOR: vendor}
    return {key: _NOT_ALLOWED.sub("_", value)[:63] for key, value in found.items() if value}


def group(layer: str, part: str | None = None) -> str:
    """A layer, and of it a silo or a subject: `staging_crm`, `marts_revenue`, `core`."""
    return re.sub(r"\W", "_", f"{layer}_{part}" if part else layer)


def system_spec(source: SourceConfig) -> dg.AssetSpec:
    """The system outside that a source reads."""
    page = about(source.type)
    told = [f"**{label}.** {page.told[label]}" for label in ("Objects", "Changes", "Deletes", "Left out")]
    summary = f"{page.vendor}, a system outside, which the pipeline only reads: {page.what}"
    return dg.AssetSpec(
        api_key(source.name),
        description="\n\n".join([summary, f"Read at {_place(source)}.", *told]),
        group_name=group("systems"),
        owners=owners(DATA_ENGINEERING),
        tags=tags("system", source.silo, source.type),
        kinds={source.type},
        metadata={"silo": source.silo},
    )


def _place(source: SourceConfig) -> str:
    """Where the system is, without what a URL may say of who asks."""
    if source.base_url:
        address = urlsplit(source.base_url)
        return address._replace(netloc=address.netloc.rpartition("@")[2], query="", fragment="").geturl()
    if source.mapping:
        return f"the files that {source.mapping} names"
    return str(
        getattr(
            importlib.import_module(f"ingestion.{source.type}"), "BASE_URL", "the vendor's public address"
        )
    )


def raw_spec(source: SourceConfig, name: str, table: TableSpec) -> dg.AssetSpec:
    """A table as the vendor sent it: of which API object, what one row is, and of what columns."""
    vendor = about(source.type).vendor
    keys = ", ".join(f"`{key}`" for key in table.primary_key)
    names = "as the mapping names them" if source.type == FILES else f"under {vendor}'s own names"
    facts = [
        f"{vendor}'s `{name}`, as sent: {table.description.rstrip('.')}.",
        f"One row per {keys}; columns are {names}.",
        "Every load reads all of it, and marks what is gone as deleted." if table.complete else None,
        f"Feeds the contract's {', '.join(f'`{source.silo}.{one}`' for one in table.fills)}."
        if table.fills
        else None,
    ]
    lineage = {column: [(api_key(source.name), f"{name}.{column}")] for column in table.columns}
    columns = [
        described_column(
            column,
            kind,
            _ADDED.get(column) or (_IS_DELETED if column == "is_deleted" else ""),
            lineage.get(column, ()),
            nullable=column not in table.primary_key,
            unique=table.primary_key == (column,),
        )
        for column, kind in {**table.columns, **ADDED}.items()
    ]
    several = [f"one row per {', '.join(table.primary_key)}"] if len(table.primary_key) > 1 else []
    return dg.AssetSpec(
        raw_key(source.name, name),
        deps=[api_key(source.name)],
        description="\n\n".join(fact for fact in facts if fact),
        group_name=group("raw", source.silo),
        owners=owners(DATA_ENGINEERING),
        tags=tags("raw", source.silo, source.type),
        kinds={"dlt", "duckdb"},
        metadata=column_entries(columns, several, lineage),
    )


def described_column(
    name: str,
    kind: str,
    description: str,
    made_of: Iterable[tuple[dg.AssetKey, str]],
    *,
    nullable: bool = True,
    unique: bool = False,
    rules: Sequence[str] = (),
) -> dg.TableColumn:
    """A column, whose description ends with links to what it is made of.

    The open-source UI shows no column lineage of its own; so one walks from column to column by these.
    """
    links = made_of_links(made_of)
    return dg.TableColumn(
        name,
        kind,
        "\n\n".join(part for part in (description.strip(), links) if part) or None,
        dg.TableColumnConstraints(nullable=nullable, unique=unique, other=list(rules)),
    )


def made_of_links(made_of: Iterable[tuple[dg.AssetKey, str]]) -> str:
    """`From crm/opportunities: amount, outcome`, with links to the assets' pages."""
    by_asset: dict[dg.AssetKey, list[str]] = {}
    for key, column in sorted(made_of):
        by_asset.setdefault(key, []).append(f"`{column}`")
    links = [
        f"[{'/'.join(key.path)}](/assets/{'/'.join(key.path)}): {', '.join(of)}"
        for key, of in by_asset.items()
    ]
    return f"From {'; '.join(links)}" if links else ""


def column_entries(
    columns: Sequence[dg.TableColumn], rules: Sequence[str], lineage: Lineage
) -> dict[str, Any]:
    """Columns and their lineage as metadata of an asset, under Dagster's own names."""
    deps = {
        column: [dg.TableColumnDep(asset_key=key, column_name=upstream) for key, upstream in made_of]
        for column, made_of in lineage.items()
    }
    found: dict[str, Any] = {
        "dagster/column_schema": dg.TableSchema(
            columns=list(columns), constraints=dg.TableConstraints(other=list(rules))
        )
    }
    if deps:
        found["dagster/column_lineage"] = dg.TableColumnLineage(deps_by_column=deps)
    return found
