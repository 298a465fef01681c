"""Times who is who: 200,000 contacts at 50,000 accounts from scratch, and after one in a hundred changed.

dbt's identity models run in a process of their own on a warehouse that has the contract's tables; seconds are
of the build alone, without imports and parsing. Limits: from scratch under 3 minutes and 4 GiB on two cores,
after the change a tenth of those 3 minutes. The share of the seconds from scratch is shown, without a limit:
dbt's own part, some 2 seconds of 47 nodes, is in both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.asked import PEAK, Asked, Verdicts
from settings.paths import DBT_PROJECT

ACCOUNTS, CONTACTS_EACH = 50_000, 4
MOST_SECONDS, MOST_BYTES, MOST_SHARE = 180.0, 4 * 2**30, 0.1

# Names of syllables are as many as real ones, and as unlike each other. Every tenth company is in the CRM
# twice, every twentieth contact too, with a letter missing.
COMPANY = """
create macro drawn(n, salt, most) as cast(hash(n || salt) % most as bigint);
create macro syllables(n, salt, count) as array_to_string(list_transform(range(count), lambda i: [
    'ba', 'cor', 'del', 'fen', 'gar', 'hol', 'in', 'jar', 'kel', 'lum', 'mor', 'nex', 'or', 'pol', 'qua',
    'rin', 'sal', 'tor', 'ul', 'ven', 'wes', 'xan', 'yor', 'zel', 'ash', 'bri', 'cha', 'dra', 'el', 'fro',
    'gli', 'har'
][1 + drawn(n, salt || i, 32)]), '');
create macro misspelt(word) as left(word, 3) || substr(word, 5);
create macro some_name(n, salt, most) as cast(most * pow(drawn(n, salt, 1000003) / 1000003, 3) as integer);
insert into crm.accounts by name
with numbered as (select range as n, if(range % 10 = 9, range - 1, range) as company from range({accounts}))
select
    'hub' as source, 'a' || n as account_id,
    if(n = company, syllables(company, 'name', 3), misspelt(syllables(company, 'name', 3))) || ' '
    || ['Systems', 'Freight', 'Group', 'Foods', 'Media', 'Labs', 'Partners', 'Holding'][
        1 + drawn(company, 'kind', 8)
    ]
    || if(n % 3 = 0, ' Ltd', '') as name,
    if(n = company and n % 5 > 0, syllables(company, 'name', 3) || company || '.example', null) as domain,
    ['US', 'US', 'US', 'GB', 'DE', 'FR'][1 + drawn(company, 'country', 6)] as country,
    if(n % 4 = 0, 'c' || n, null) as billing_customer_id,
    timestamptz '2025-01-01' + to_minutes(n) as created_at, false as is_deleted
from numbered;
insert into billing.customers by name
select
    'pay' as source, replace(account_id, 'a', 'c') as customer_id, name, country, created_at,
    'pay@' || coalesce(domain, account_id || '-mail.example') as email, false as is_deleted
from crm.accounts where cast(substr(account_id, 2) as integer) % 2 = 0;
insert into crm.contacts by name
with numbered as (
    select range as n, if(range % 20 = 19, range - 1, range) as person from range({contacts})
),
named as (
    select
        n, person, 'a' || (person // {each}) as account_id,
        syllables(some_name(person, 'first', 3000), 'f', 2) as first_name,
        syllables(some_name(person, 'last', 30000), 'l', 3) as last_name
    from numbered
)
select
    'hub' as source, 'p' || n as contact_id, named.account_id, first_name,
    if(n = person, last_name, misspelt(last_name)) as last_name,
    first_name || if(n = person, '.', '_') || last_name || '@'
    || coalesce(domain, if(n % 2 = 0, 'gmail.com', 'outlook.com')) as email,
    timestamptz '2025-06-01' + to_minutes(n) as created_at, false as is_deleted
from named inner join crm.accounts using (account_id)
"""
_CHANGE = """
update crm.accounts set name = name || ' Europe' where hash(account_id) % 100 = 0;
update crm.contacts set last_name = last_name || 'son', email = 'new.' || email
where hash(contact_id) % 100 = 0
"""
_BUILD = (
    PEAK
    + """
import json, splink, sys, time
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
quiet = ["--log-level", "error", "--log-level-file", "none"]
parsed = dbtRunner().invoke([*quiet, "parse"])
assert isinstance(parsed.result, Manifest), parsed.exception
started = time.perf_counter()
built = dbtRunner(manifest=parsed.result).invoke(
    [*quiet, "build", "--exclude-resource-type", "unit_test", "--select", "fqn:identity"]
)
seconds = time.perf_counter() - started
assert built.success, [(one.node.name, one.message) for one in built.result if one.status != "success"]
print(json.dumps({"seconds": seconds, "memory": peak_bytes()}))
"""
)


@dataclass(frozen=True)
class Measured:
    """One build: seconds, and peak memory in bytes."""

    seconds: float
    memory: int


def measure(asked: Asked) -> dict[str, Measured]:
    """From scratch, after a change of one in a hundred records, and with nothing changed."""
    accounts = asked.accounts
    with tempfile.TemporaryDirectory(prefix="revops-identity-") as name:
        warehouse = Path(name) / "warehouse.duckdb"
        execute(warehouse, tables())
        execute(
            warehouse,
            COMPANY.format(accounts=accounts, contacts=accounts * CONTACTS_EACH, each=CONTACTS_EACH),
        )
        found = {"from scratch": _build(warehouse)}
        execute(warehouse, _CHANGE)
        found["1 % changed"] = _build(warehouse)
        found["nothing changed"] = _build(warehouse)
    return found


def tables() -> str:
    """Every table of the contract, empty."""
    from ingestion.contract import contract

    statements = []
    for silo, tables in contract().items():
        statements.append(f"create schema {silo}")
        for table, spec in tables.items():
            columns = {"source": "text", "loaded_at": "timestamptz"} | spec.columns
            listed = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
            statements.append(f"create table {silo}.{table} ({listed})")
    return ";\n".join(statements)


def execute(warehouse: Path, statements: str) -> None:
    """Run statements on a warehouse, which is made if it is not there."""
    import duckdb

    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(statements)


def _build(warehouse: Path) -> Measured:
    own = {
        "REVOPS_WAREHOUSE": str(warehouse),
        "DBT_TARGET_PATH": str(warehouse.parent / "dbt"),
        "DBT_LOG_PATH": str(warehouse.parent / "dbt"),
        "DBT_PROFILES_DIR": str(DBT_PROJECT),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    done = subprocess.run(
        [sys.executable, "-c", _BUILD],
        cwd=DBT_PROJECT,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"identity failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def verdicts(found: dict[str, Measured]) -> Verdicts:
    """The figures that have limits."""
    scratch, changed = found["from scratch"], found["1 % changed"]
    memory = max(one.memory for one in found.values())
    most_changed = MOST_SHARE * MOST_SECONDS
    return {
        "identity from scratch, s": (scratch.seconds, MOST_SECONDS, scratch.seconds <= MOST_SECONDS),
        "identity, 1 % changed, s": (changed.seconds, most_changed, changed.seconds <= most_changed),
        "identity, peak memory, GiB": (memory / 2**30, MOST_BYTES / 2**30, memory <= MOST_BYTES),
    }


def figures(found: dict[str, Measured]) -> Any:
    """Of each what was measured."""
    return {name: vars(one) for name, one in found.items()}


def show(found: dict[str, Measured], console: Console) -> None:
    """Seconds and memory of each."""
    title = f"Who is who: {ACCOUNTS:,} accounts, {ACCOUNTS * CONTACTS_EACH:,} contacts"
    table = Table("identity", title=title, title_justify="left")
    for column in ("seconds", "peak memory"):
        table.add_column(column, justify="right")
    for name, one in found.items():
        table.add_row(name, f"{one.seconds:.1f}", f"{one.memory / 2**30:.2f} GiB")
    console.print(table)
    share = found["1 % changed"].seconds / found["from scratch"].seconds
    console.print(f"identity, 1 % changed / from scratch: {share:.2f}")
