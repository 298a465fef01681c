"""What DuckDB lets a SELECT leave unsaid, said: so that lineage, which reads columns, can follow it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sqlglot import exp

#: Between a struct's name and its field's, in the name of a column that stands for a field.
FIELD = "."

#: Fields of structs that are read: the table's name in the SELECT, the struct's and the field's.
_Known = set[tuple[str, str, str]]
#: Fields of structs that the SELECT makes.
_Local = dict[str, dict[str, exp.Expr]]


def say_it_all(select: exp.Select, inner: Mapping[str, Iterable[str]]) -> None:
    """Writes out, in place: named windows, what `count(*)` counts, whole rows, fields of structs, missing
    names.

    In: the columns of the queries that the SELECT reads, among them the fields of their structs. A column
    `event` that is a struct with a field `person` gets another beside it, `event.person`; whoever reads
    `event.person`, or unnests `event`, reads that one.
    """
    tables = {
        table.alias_or_name: list(inner[table.name]) for table in _sources(select) if table.name in inner
    }
    _write_windows(select)
    _name_what_is_counted(select)
    _write_rows(select, tables)
    _open_structs(select, tables)
    for place, projection in enumerate(select.expressions):
        if not isinstance(projection, exp.Alias | exp.Column | exp.Star):
            projection.replace(_named(projection.copy(), f"column {place}"))


def _sources(select: exp.Select) -> Iterator[exp.Table]:
    for clause in (select.args.get("from_"), *select.args.get("joins", ())):
        if clause is not None and isinstance(clause.this, exp.Table):
            yield clause.this


def _named(value: exp.Expr, name: str) -> exp.Expr:
    return exp.alias_(value, exp.to_identifier(name, quoted=True))


def _write_windows(select: exp.Select) -> None:
    """`over w` says what `window w as (...)` does."""
    windows = {window.name: window for window in select.args.get("windows") or ()}
    for use in select.find_all(exp.Window):
        window = windows.get(use.alias)
        if window is not None and window is not use:
            for clause in ("partition_by", "order"):
                said = window.args.get(clause)
                if said is not None and not use.args.get(clause):
                    use.set(clause, [one.copy() for one in said] if isinstance(said, list) else said.copy())
            use.set("alias", None)
    select.set("windows", None)


def _name_what_is_counted(select: exp.Select) -> None:
    """`count(*)` names no column: it is of those that decide which rows there are."""
    for count in list(select.find_all(exp.Count)):
        counted = count.parent_select
        if not isinstance(count.this, exp.Star) or counted is None:
            continue
        group = counted.args.get("group")
        clauses = [counted.args.get("where"), group]
        clauses += [join.args.get("on") for join in counted.args.get("joins", ())]
        if group is not None and group.args.get("all"):
            clauses += [one for one in counted.expressions if not one.find(exp.AggFunc)]
        columns = [
            column.copy()
            for clause in clauses
            if clause is not None
            for column in clause.find_all(exp.Column)
            if column.parent_select is counted
        ]
        if columns:
            count.set("this", exp.Tuple(expressions=columns))


def _write_rows(select: exp.Select, tables: Mapping[str, list[str]]) -> None:
    """A table's name in the place of a column is its whole row."""
    for column in list(select.find_all(exp.Column)):
        if (
            column.table
            or column.name not in tables
            or any(column.name in names for names in tables.values())
        ):
            continue
        row = [
            exp.column(exp.to_identifier(name, quoted=True), table=column.name)
            for name in tables[column.name]
        ]
        column.replace(exp.Tuple(expressions=row))


def _open_structs(select: exp.Select, tables: Mapping[str, list[str]]) -> None:
    known: _Known = set()
    for table, names in tables.items():
        for name in names:
            struct, dot, field = name.partition(FIELD)
            if dot:
                known.add((table, struct, field))
    for column in list(select.find_all(exp.Column)):
        _read_field(column, known)
    local: _Local = {}
    projections: list[exp.Expr] = []
    for projection in select.expressions:
        if isinstance(projection, exp.Explode):
            projections += _spread(projection, known, local)
            continue
        projections.append(projection)
        name = projection.alias_or_name
        fields = _fields(projection.unalias(), known, local) if name else {}
        if fields:
            local[name] = fields
            projections += [_named(value, f"{name}{FIELD}{field}") for field, value in fields.items()]
    select.set("expressions", projections)


def _field(table: str, struct: str, field: str) -> exp.Column:
    return exp.column(exp.to_identifier(f"{struct}{FIELD}{field}", quoted=True), table=table)


def _read_field(column: exp.Column, known: _Known) -> None:
    """`pipeline.former.team` or `former.team`: a field rather than a column of a table."""
    for table, struct, field in known:
        if (column.name, column.table) == (field, struct) and column.db in ("", table):
            is_projection = isinstance(column.parent, exp.Select) and column.arg_key == "expressions"
            value = _field(table, struct, field)
            column.replace(_named(value, field) if is_projection else value)
            return


def _spread(projection: exp.Explode, known: _Known, local: _Local) -> list[exp.Expr]:
    """`unnest` of structs, without a name: a column for each field."""
    listed = projection.this
    if isinstance(listed, exp.Array) and all(isinstance(one, exp.Struct) for one in listed.expressions):
        values: dict[str, list[exp.Expr]] = {}
        for struct in listed.expressions:
            for pair in struct.expressions:
                values.setdefault(pair.name, []).append(pair.expression)
        return [_named(exp.Array(expressions=found), name) for name, found in values.items()]
    return [_named(value, name) for name, value in _fields(listed, known, local).items()] or [projection]


def _fields(expression: exp.Expr, known: _Known, local: _Local) -> dict[str, exp.Expr]:
    """What each field of the struct is that an expression makes, or passes on."""
    for part in expression.find_all(exp.Struct, exp.Column):
        values: dict[str, exp.Expr] = {}
        if part.find_ancestor(exp.Subquery, exp.Array):
            continue
        if isinstance(part, exp.Struct):
            values = {
                pair.name: pair.expression for pair in part.expressions if isinstance(pair, exp.PropertyEQ)
            }
        elif isinstance(part, exp.Column) and not part.table and part.name in local:
            values = local[part.name]
        elif isinstance(part, exp.Column):
            values = {
                field: _field(table, struct, field)
                for table, struct, field in known
                if part.name == struct and part.table in ("", table)
            }
        if values:
            return {field: _instead(expression, part, value) for field, value in sorted(values.items())}
    return {}


def _instead(expression: exp.Expr, part: exp.Expr, value: exp.Expr) -> exp.Expr:
    """A copy of the expression with `value` where it has `part`."""
    if expression is part:
        return value.copy()
    mark = exp.to_identifier("the field")
    part.replace(mark)
    copy = expression.copy()
    mark.replace(part)
    next(one for one in copy.find_all(exp.Identifier) if one.name == mark.name).replace(value.copy())
    return copy
