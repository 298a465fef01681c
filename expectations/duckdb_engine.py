"""Great Expectations' SQL engine, made to work on DuckDB.

GX closes its connection before it fetches, which DuckDB's cursors do not survive and which would drop the
temporary tables the gates read. So one connection stays open as long as the session does. Importing this
module imports Great Expectations, which takes seconds: do it inside functions.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
import sqlalchemy as sa
from great_expectations.checkpoint.checkpoint import CheckpointResult
from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.data_context.types.resource_identifiers import ExpectationSuiteIdentifier
from great_expectations.datasource.fluent import SQLDatasource
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.expectation import Expectation


class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):
    """GX's SQL engine on one connection that stays open."""

    @contextmanager
    def get_connection(self) -> Generator[sa.Connection, None, None]:
        """Give the one connection, opened at the first call."""
        if self._connection is None:
            self._connection = self.engine.connect()
        yield self._connection


_EngineType = type[SqlAlchemyExecutionEngine]  # inside the class below, `type` is its field


class DuckDBDatasource(SQLDatasource):
    """A GX data source of type `duckdb`; defining the class registers it with GX."""

    type: Literal["duckdb"] = "duckdb"  # type: ignore[assignment]

    @property
    def execution_engine_type(self) -> _EngineType:
        """Evaluate this source's expectations with the engine above."""
        return DuckDBExecutionEngine


class Session:
    """One transaction on a warehouse file, shared by our SQL and GX's.

    Leaving the `with` block normally commits, an exception rolls everything back; either way the file is
    closed and free for the next step.
    """

    def __init__(self, warehouse: Path, timezone: str = "UTC", docs: Path | None = None) -> None:
        """Remember the file, the time zone of months and days, and where the Data Docs go, if anywhere.

        Nothing is opened yet.
        """
        self._warehouse = warehouse
        self._timezone = timezone
        self._docs = docs
        self._checked: CheckpointResult | None = None

    def __enter__(self) -> Session:
        """Open the file and begin."""
        self._context = gx.get_context(mode="ephemeral", project_config=_project(self._docs))
        self._context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
        # The file is attached, not named in the address: GX substitutes variables in addresses, and
        # SQLAlchemy cuts them at '?', so that not every path would survive.
        self._source = self._context.data_sources.add_duckdb(
            "warehouse", connection_string="duckdb:///:memory:", create_temp_table=False
        )
        self._engine = self._source.get_execution_engine()
        with self._engine.get_connection() as connection:
            self._connection: sa.Connection = connection
        path, name = str(self._warehouse).replace("'", "''"), self._warehouse.stem.replace('"', '""')
        try:
            self.run(f"attach '{path}' as \"{name}\"")
            self.run(f'use "{name}"')
            self.run("set timezone = '" + self._timezone.replace("'", "''") + "'")
            self._connection.commit()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit or roll back, then close the file."""
        try:
            if kind is None:
                self._connection.commit()
            else:
                self._connection.rollback()
        finally:
            self._close()

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Execute one statement; `$name` in it stands for a parameter."""
        return self._connection.exec_driver_sql(sql, dict(parameters) if parameters else None)

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Execute one query and fetch all of it."""
        return self.run(sql, parameters).fetchall()

    def validate(
        self, batch: str, suites: Mapping[str, Sequence[Expectation]], run_time: datetime
    ) -> list[ExpectationSuiteValidationResult]:
        """Validate suites of expectations, by name, against the rows of the query `batch`."""
        asset = self._source.add_query_asset(name="batch", query=batch)
        data = asset.add_batch_definition_whole_table("found")
        definitions = [
            self._context.validation_definitions.add(
                gx.ValidationDefinition(
                    name=name,
                    data=data,
                    suite=self._context.suites.add(
                        gx.ExpectationSuite(name, expectations=list(expectations))
                    ),
                )
            )
            for name, expectations in suites.items()
        ]
        checkpoint = self._context.checkpoints.add(
            gx.Checkpoint(name="gates", validation_definitions=definitions, result_format="SUMMARY")
        )
        run = RunIdentifier(run_name=f"{run_time:%Y%m%dT%H%M%SZ}", run_time=run_time)
        self._checked = checkpoint.run(run_id=run)
        return list(self._checked.run_results.values())

    def build_docs(self) -> None:
        """Add what was validated to the Data Docs, which keep the runs before, to a limit."""
        if self._docs is None or self._checked is None:
            return
        _forget(self._docs)
        suites = [ExpectationSuiteIdentifier(suite.name) for suite in self._context.suites.all()]
        self._context.build_data_docs(resource_identifiers=suites, build_index=False)
        self._context.build_data_docs(resource_identifiers=[*self._checked.run_results])

    def _close(self) -> None:
        self._connection.close()
        self._engine.engine.dispose()


#: Runs that the Data Docs show.
KEPT_RUNS = 30
RESULTS, SITE = "validations", "data_docs"


def _project(docs: Path | None) -> DataContextConfig:
    """Everything in memory but what the Data Docs show, and they themselves."""
    project = DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults())
    if docs is None:
        return project
    backend = {"class_name": "TupleFilesystemStoreBackend"}
    stores = project.stores | {
        project.validation_results_store_name: {
            "class_name": "ValidationResultsStore",
            "store_backend": backend | {"base_directory": str(docs / RESULTS)},
        }
    }
    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": backend | {"base_directory": str(docs / SITE)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder", "view": _view("Index")},
        "site_section_builders": {
            "expectations": {"view": _view("Page")},
            "validations": {"view": _view("Page")},
        },
    }
    project.stores, project.data_docs_sites = stores, {"gates": site}
    return project


def _view(name: str) -> dict[str, str]:
    return {"module_name": "expectations.docs_view", "class_name": name}


def _forget(docs: Path) -> None:
    """Drop the runs beyond those kept: results and pages lie in folders suite/run."""
    names = sorted({run.name for run in (docs / RESULTS).glob("*/*")}, reverse=True)
    for name in names[KEPT_RUNS:]:
        for run in [*(docs / RESULTS).glob(f"*/{name}"), *(docs / SITE / RESULTS).glob(f"*/{name}")]:
            shutil.rmtree(run)
