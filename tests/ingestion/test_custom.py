"""Fields a company has added are asked for by name, or found in the JSON that holds them, at every vendor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingestion.core import load_source, raw_tables
from ingestion.custom import custom_tables
from sandbox.api import hubspot_records, pipedrive_fields, salesforce_objects
from sandbox.simulation import simulate
from sandbox.world import World
from settings.config import SourceConfig
from settings.paths import Home
from settings.vendors import vendors

#: Vendor -> contract table, the field there, and the column of the world's records that it shows.
FIELDS = {
    "hubspot": ("accounts", "market", "industry"),
    "salesforce": ("accounts", "Market__c", "industry"),
    "pipedrive": ("accounts", "Home market", "industry"),
    "stripe": ("customers", "hubspot_company_id", "crm_account_id"),
    "chargebee": ("customers", "cf_crm_account_id", "crm_account_id"),
    "mailshake": ("recipients", "company", "company_name"),
}


@pytest.fixture(scope="module")
def world() -> World:
    return simulate(size=20, months=3)


@pytest.fixture(autouse=True)
def market(monkeypatch: pytest.MonkeyPatch) -> None:
    """The company has made a field of its own in each CRM."""
    hubspot = hubspot_records.PROPERTIES["companies"]
    monkeypatch.setitem(hubspot, "market", hubspot["industry"])
    salesforce = salesforce_objects.FIELDS["Account"]
    monkeypatch.setitem(salesforce, "Market__c", salesforce["Industry"])
    field = pipedrive_fields.CustomField(pipedrive_fields.ORGANIZATION, "Home market", "varchar", "industry")
    monkeypatch.setattr(pipedrive_fields, "FIELDS", [*pipedrive_fields.FIELDS, field])


@pytest.mark.parametrize("vendor", FIELDS)
def test_an_own_field_is_read(
    vendor: str, world: World, sandbox_server: Callable[[World], str], tmp_path: Path
) -> None:
    table, field, attribute = FIELDS[vendor]
    config = SourceConfig(
        name="own",
        silo=vendors()[vendor],  # type: ignore[arg-type]
        type=vendor,
        base_url=f"{sandbox_server(world)}/{vendor}",
        fields={table: {"added": field}},
    )
    load_source(config, world.now, Home(tmp_path))
    custom = custom_tables(config, raw_tables(config))[table]
    with duckdb.connect(str(Home(tmp_path).warehouse), read_only=True) as warehouse:
        found = dict(
            warehouse.execute(
                f'select "{custom.key}", {custom.columns["added"]} from raw_own.{custom.table}'
            ).fetchall()
        )
    records: dict[str, list[Any]] = {
        "accounts": world.crm.companies,
        "customers": world.billing.customers,
        "recipients": world.email.recipients,
    }
    true = {record.id: getattr(record, attribute) for record in records[table] if record.id in found}
    assert found == true
    assert len(set(true.values()) - {None}) > 1
