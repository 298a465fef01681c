"""Of which upstream columns each column of a query is made, by reading its SQL.

sqlglot traces a column through one SELECT; here the query is taken apart into its SELECTs. Their names can
then be told one after another, which a `union all by name` needs, and each is small enough to be read fast.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlglot import MappingSchema, exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage

from orchestration.lineage_duckdb import FIELD, say_it_all

DIALECT = "duckdb"

#: A column upstream: schema and table ("crm.accounts"), and its name.
Column = tuple[str, str]
#: Each column of a query, in its order, and what it is made of. Nothing: a constant.
Columns = dict[str, frozenset[Column]]

#: The schema under which a SELECT sees the queries that it is made of.
_INNER = "inner query"
_NOTHING: frozenset[Column] = frozenset()

logging.getLogger("sqlglot").setLevel(logging.ERROR)


def columns_of(sql: str, tables: Mapping[str, Collection[str]]) -> Columns:
    """What the columns of a query are made of.

    In: the columns of every table it reads, by schema and table. Raises `SqlglotError` for a query that
    cannot be read.
    """
    try:
        found = _query(parse_one(sql, dialect=DIALECT), {}, tables)
        return {name: upstream for name, upstream in found.items() if FIELD not in name}
    except SqlglotError:
        raise
    except Exception as exc:  # sqlglot's own faults, of what it did not expect, are of any type
        raise SqlglotError(f"{type(exc).__name__}: {exc}") from exc


def _query(query: exp.Expr, named: Mapping[str, Columns], tables: Mapping[str, Collection[str]]) -> Columns:
    named = dict(named)
    for part in query.ctes if isinstance(query, exp.Query) else ():
        named[part.alias.lower()] = _named_query(part, named, tables)
    if isinstance(query, exp.Subquery):
        return _query(query.this, named, tables)
    if isinstance(query, exp.SetOperation):
        left, right = (_query(side, named, tables) for side in (query.left, query.right))
        return _united(left, right, bool(query.args.get("by_name")))
    if isinstance(query, exp.Values):
        return {f"col{index}": _NOTHING for index, _ in enumerate(query.expressions[0].expressions)}
    if isinstance(query, exp.Pivot) and query.unpivot:
        return _unpivoted(query, _query(exp.select("*").from_(query.this.copy()), named, tables))
    assert isinstance(query, exp.Select), f"no query: {type(query).__name__}"
    return _select(query, named, tables)


def _named_query(
    part: exp.CTE, named: Mapping[str, Columns], tables: Mapping[str, Collection[str]]
) -> Columns:
    names = part.args["alias"].columns
    if not _reads(part.this, part.alias):
        return _as(_query(part.this, named, tables), names)
    # Recursive: its first part says what its columns are, and each round what else is in them.
    before, found = None, _as(_query(part.this.left, named, tables), names)
    while found != before:
        before = found
        found = _as(_query(part.this, {**named, part.alias.lower(): before}, tables), names)
    return found


def _reads(query: exp.Expr, name: str) -> bool:
    return isinstance(query, exp.SetOperation) and any(
        not table.db and table.name.lower() == name.lower() for table in query.find_all(exp.Table)
    )


def _as(columns: Columns, names: Sequence[exp.Expr]) -> Columns:
    """The same columns under the names that an alias gives them, `t (a, b)`."""
    given = [name.name.lower() for name in names] + list(columns)[len(names) :]
    return dict(zip(given, columns.values(), strict=True))


def _united(left: Columns, right: Columns, by_name: bool) -> Columns:
    if by_name:
        return {
            name: left.get(name, _NOTHING) | right.get(name, _NOTHING)
            for name in dict.fromkeys([*left, *right])
        }
    names = [name for name in left if FIELD not in name]
    values = [upstream for name, upstream in right.items() if FIELD not in name]
    together = {name: left[name] | upstream for name, upstream in zip(names, values, strict=True)}
    fields = {
        name: left.get(name, _NOTHING) | right.get(name, _NOTHING) for name in {*left, *right} - {*names}
    }
    return together | {name: upstream for name, upstream in fields.items() if FIELD in name}


def _unpivoted(query: exp.Pivot, columns: Columns) -> Columns:
    """`unpivot t on a, b into name n value v`: what is in a and b is in v, and n says in which."""
    turned = [one.name for one in query.expressions]
    into = query.args["into"]
    kept = {name: made_of for name, made_of in columns.items() if name not in turned}
    values = frozenset(chain.from_iterable(columns[name] for name in turned))
    return {**kept, into.this.name: _NOTHING, into.expressions[0].name: values}


def _select(
    select: exp.Select, named: Mapping[str, Columns], tables: Mapping[str, Collection[str]]
) -> Columns:
    select = select.copy()
    select.set("with_", None)
    inner = _hoisted(select, named, tables)
    say_it_all(select, inner)
    schema: dict[str, Any] = {}
    for name, columns in inner.items():
        schema.setdefault(_INNER, {})[name] = dict.fromkeys(columns, "varchar")
    for table in select.find_all(exp.Table):
        table.set("catalog", None)
        name = f"{table.db}.{table.name}"
        if name in tables:
            schema.setdefault(table.db, {})[table.name] = dict.fromkeys(tables[name], "varchar")
    found: Columns = {}
    for name, node in lineage(None, select, MappingSchema(schema, dialect=DIALECT), dialect=DIALECT).items():
        found[name.lower()] = frozenset(chain.from_iterable(_leaves(node, inner, tables)))
    return found


def _leaves(
    node: Node, inner: Mapping[str, Columns], tables: Mapping[str, Collection[str]]
) -> Iterator[frozenset[Column]]:
    """What a column of a SELECT comes of. Raises `SqlglotError` for columns that are in no table."""
    for leaf in node.walk():
        if leaf.downstream:
            continue
        if isinstance(leaf.expression, exp.Placeholder):
            raise SqlglotError(f"unknown column {leaf.name}")
        if isinstance(leaf.expression, exp.Table) and leaf.expression.db:
            table, column = leaf.expression, exp.to_column(leaf.name, dialect=DIALECT).name.lower()
            name = f"{table.db}.{table.name}"
            if table.db == _INNER:
                yield inner[table.name][column]
            elif column in (known.lower() for known in tables.get(name, ())):
                yield frozenset({(name, column)})
            else:
                raise SqlglotError(f"unknown column {name}.{column}")


def _hoisted(
    select: exp.Select, named: Mapping[str, Columns], tables: Mapping[str, Collection[str]]
) -> dict[str, Columns]:
    """Puts a table in the place of every query that the SELECT reads from; these queries, by the table's
    name."""
    inner: dict[str, Columns] = {}
    for query in list(select.find_all(exp.Subquery)):
        if isinstance(query.parent, exp.From | exp.Join) and query.parent_select is select:
            name = f"derived {len(inner)}"
            alias = query.args.get("alias")
            inner[name] = _as(_query(query.this, named, tables), alias.columns if alias else [])
            place = exp.table_(name, db=_INNER, alias=query.alias or name, quoted=True)
            for clause in ("pivots", "joins", "laterals"):
                place.set(clause, query.args.get(clause))
            query.replace(place)
    for table in list(select.find_all(exp.Table)):
        name = table.name.lower()
        if not table.db and name in named:
            inner[name] = named[name]
            table.set("alias", table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name)))
            table.set("db", exp.to_identifier(_INNER, quoted=True))
    return inner
