"""The warehouse without a row, in memory, where DuckDB itself tells a model's columns and their types."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

#: Of raw columns, by dlt's name.
RAW_TYPES = {
    "text": "varchar",
    "bigint": "bigint",
    "double": "double",
    "decimal": "decimal(38,9)",
    "timestamp": "timestamp with time zone",
    "date": "date",
    "bool": "boolean",
    "json": "json",
}


def empty_warehouse(database: str) -> duckdb.DuckDBPyConnection:
    """A connection to a database of that name, in which nothing is."""
    connection = duckdb.connect(":memory:")
    connection.execute(f"attach ':memory:' as {_quoted(database)}; use {_quoted(database)}")
    return connection


def add_table(connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str]) -> None:
    """Make a table ("core.opportunities") of columns and their types. Raises `duckdb.Error` if it cannot."""
    schema, _, name = table.partition(".")
    connection.execute(f"create schema if not exists {_quoted(schema)}")
    listed = ", ".join(f"{_quoted(column)} {kind}" for column, kind in columns.items())
    connection.execute(f"create table {_quoted(schema)}.{_quoted(name)} ({listed})")


def described(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, str]:
    """The columns of a query, and their types. Raises `duckdb.Error` for one that cannot be run."""
    return {row[0]: row[1].lower() for row in connection.execute(f"describe {sql}").fetchall()}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
