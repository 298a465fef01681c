"""What the SQL linter knows of dbt: the project's macros and variables, and stand-ins for dbt's functions.

The linter takes every name of this module into its templates. Macros come from dbt's own files, wrapped so
that `return` gives a value as it does in dbt. One source of every vendor is configured.
"""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from jinja2 import Environment

_PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
_SILOS = {
    source["name"]: source["config"]["meta"]["silo"]
    for path in sorted((_PROJECT / "models" / "staging").glob("*/_sources.yml"))
    for source in yaml.safe_load(path.read_text(encoding="utf-8"))["sources"]
    if source["name"] != "files"
}
_VARIABLES: dict[str, Any] = {
    **yaml.safe_load((_PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"],
    "sources": [
        {
            "name": vendor,
            "silo": silo,
            "type": vendor,
            "fields": {},
            "tables": [
                path.stem.removeprefix(f"stg_{vendor}__")
                for path in sorted((_PROJECT / "models" / "staging" / vendor).glob("*.sql"))
            ],
        }
        for vendor, silo in _SILOS.items()
    ],
    "source_types": list(_SILOS),
    "silos": ["crm", "email", "billing", "finance"],
}
_NAMED = re.compile(r"(?<=% macro )\w+")
_PREFIX = "dbt_macro__"


class _Returned(Exception):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def _return(value: Any) -> None:
    raise _Returned(value)


def _macro(name: str) -> Callable[..., Any]:
    """A macro, looked up when it is called: macros call each other across files."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return _macros[_PREFIX + name](*args, **kwargs)
        except _Returned as returned:
            return returned.value

    return call


_functions: dict[str, Any] = {
    "return": _return,
    "var": lambda name, default=None: _VARIABLES.get(name, default),
    "ref": lambda *names: names[-1],
    "source": lambda schema, table: f"{schema}.{table}",
    "config": lambda **_: "",
    "adapter": SimpleNamespace(quote=lambda name: f'"{name}"'),
    "is_incremental": lambda: True,
    "local_md5": lambda text: "0" * 32,
    "this": "this",
    "model": SimpleNamespace(columns={}),
    "target": SimpleNamespace(schema="main"),
}
_sources = [path.read_text(encoding="utf-8") for path in sorted((_PROJECT / "macros").glob("*.sql"))]
_functions |= {name: _macro(name) for source in _sources for name in _NAMED.findall(source)}
_environment = Environment(extensions=["jinja2.ext.do"], autoescape=False)
_environment.globals.update(_functions)
_macros: dict[str, Callable[..., str]] = {}
for _source in _sources:
    # Renamed, as in dbt, so that a call within a file too goes through `_macro`.
    _macros |= vars(_environment.from_string(_NAMED.sub(_PREFIX + r"\g<0>", _source)).module)
globals().update(_functions)
