"""Of which columns a query's columns are made, in each way that the models write SQL."""

from __future__ import annotations

import pytest
from sqlglot.errors import SqlglotError

from orchestration.lineage_sql import columns_of

TABLES = {
    "crm.deals": ["id", "amount", "owner", "closed_at", "stage"],
    "crm.owners": ["id", "team", "region"],
    "raw_x.deals": ["id", "Amount", "_loaded_at"],
}


def made_of(sql: str) -> dict[str, set[str]]:
    """Each column, and `table.column` of what it is made of."""
    return {name: {".".join(one) for one in upstream} for name, upstream in columns_of(sql, TABLES).items()}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        pytest.param(
            'select d.amount * 2 as twice, o.team from "w"."crm"."deals" d'
            " join crm.owners o on d.owner = o.id",
            {"twice": {"crm.deals.amount"}, "team": {"crm.owners.team"}},
            id="a join, with a database in the name",
        ),
        pytest.param(
            "with a as (select * exclude (stage) from crm.deals)"
            " select * replace (amount + 1 as amount) from a",
            {name: {f"crm.deals.{name}"} for name in ("id", "amount", "owner", "closed_at")},
            id="stars",
        ),
        pytest.param(
            "with a as (select id, amount from crm.deals union all by name select team, id from crm.owners)"
            " select id, team from a",
            {"id": {"crm.deals.id", "crm.owners.id"}, "team": {"crm.owners.team"}},
            id="union by name: a column that only the second part has",
        ),
        pytest.param(
            "select id, 'won' as kind from crm.deals union all select team, region from crm.owners",
            {"id": {"crm.deals.id", "crm.owners.team"}, "kind": {"crm.owners.region"}},
            id="union by position",
        ),
        pytest.param(
            "with first as (select owner,"
            " arg_min(struct_pack(who := stage, worth := amount), closed_at) as event"
            " from crm.deals group by all), second as (select owner, event as again from first)"
            " select again.worth, unnest(again) from second",
            {
                "worth": {"crm.deals.amount", "crm.deals.closed_at"},
                "who": {"crm.deals.stage", "crm.deals.closed_at"},
            },
            id="fields of a struct, passed on",
        ),
        pytest.param(
            "select unnest([{'kpi': 'a', 'value': amount}, {'kpi': 'b', 'value': id}], recursive := true)"
            " from crm.deals",
            {"kpi": set(), "value": {"crm.deals.amount", "crm.deals.id"}},
            id="structs unnested into columns",
        ),
        pytest.param(
            "select row_number() over w as place from crm.deals window w as (partition by owner order by id)",
            {"place": {"crm.deals.owner", "crm.deals.id"}},
            id="a named window",
        ),
        pytest.param(
            "select owner, count(*) as deals from crm.deals where closed_at is null group by all",
            {"owner": {"crm.deals.owner"}, "deals": {"crm.deals.owner", "crm.deals.closed_at"}},
            id="a count, of what decides which rows there are",
        ),
        pytest.param(
            "with o as (select id, team from crm.owners) select hash('x', o) as fingerprint from o",
            {"fingerprint": {"crm.owners.id", "crm.owners.team"}},
            id="a whole row",
        ),
        pytest.param(
            "with recursive up as (select id, owner from crm.deals union all"
            " select up.owner, o.region from up join crm.owners o on up.owner = o.id) select * from up",
            {
                "id": {"crm.deals.id", "crm.deals.owner", "crm.owners.region"},
                "owner": {"crm.deals.owner", "crm.owners.region"},
            },
            id="recursion",
        ),
        pytest.param(
            "with long as (unpivot crm.owners on team, region into name field value said) select * from long",
            {"id": {"crm.owners.id"}, "field": set(), "said": {"crm.owners.team", "crm.owners.region"}},
            id="unpivot",
        ),
        pytest.param(
            "with names (position, name) as (values (1, 'a'))"
            " select n.name, (select max(d.id) from crm.deals d) as last from names n",
            {"name": set(), "last": {"crm.deals.id"}},
            id="values, and a query in the place of a value",
        ),
        pytest.param(
            "select source, t.AMOUNT from (select 'x' as source, * from raw_x.deals) as t",
            {"source": set(), "amount": {"raw_x.deals.amount"}},
            id="names in other letters",
        ),
    ],
)
def test_what_columns_are_made_of(sql: str, expected: dict[str, set[str]]) -> None:
    assert made_of(sql) == expected


@pytest.mark.parametrize(
    "sql",
    ["select from where", "select * from crm.nobody_knows", "select nothing from crm.deals", "copy x to y"],
)
def test_what_cannot_be_read_is_said_and_not_guessed(sql: str) -> None:
    with pytest.raises(SqlglotError):
        columns_of(sql, TABLES)
