"""A page of documentation per source type, in docs/sources, out of the connectors' own docstrings and tables.

A connector's docstring begins with a title, `Vendor: what`, and has labelled paragraphs (`LABELS`). `python
-m ingestion.pages` writes the pages; a test compares them with what is committed.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ingestion.core import TableSpec
from settings.paths import PROJECT
from settings.vendors import FILES, record_pages, vendors

FOLDER = PROJECT / "docs" / "sources"
LABELS = ("Objects", "Changes", "Deletes", "Limits", "Permissions", "Secrets", "Left out")


def pages() -> dict[Path, str]:
    """Every page's path and text."""
    found = {FOLDER / f"{name}.md": page(name, silo) for name, silo in sorted(vendors().items())}
    return {**found, FOLDER / f"{FILES}.md": page(FILES, None)}


@dataclass(frozen=True)
class About:
    """What a connector's docstring says: the vendor's name, what is read of it, and a text for each label."""

    vendor: str
    what: str
    told: Mapping[str, str]


def about(name: str) -> About:
    """What is told of one source type. Raises ValueError for a docstring without its labels."""
    module = importlib.import_module(f"ingestion.{name}")
    title, *paragraphs = re.split(r"\n\s*\n|\n(?=[A-Z][a-z ]+: )", (module.__doc__ or "").strip())
    labelled = dict(re.split(r":\s+", part, maxsplit=1) for part in paragraphs if ": " in part)
    missing = [label for label in LABELS if label not in labelled]
    if missing:
        raise ValueError(f"ingestion/{name}.py: the docstring does not say {', '.join(missing)}")
    vendor, _, what = title.partition(": ")
    return About(vendor, _sentence(what), {label: _sentence(labelled[label]) for label in LABELS})


def page(name: str, silo: str | None) -> str:
    """The page of one source type. Raises ValueError for a docstring without its labels."""
    module = importlib.import_module(f"ingestion.{name}")
    said = about(name)
    lines = [f"# {said.vendor}", "", said.what, ""]
    base_url = getattr(module, "BASE_URL", None)
    if silo is not None:
        address = f'base_url = "{base_url}"  # the default' if base_url else 'base_url = "https://..."'
        block = [f"[sources.{name}]", f'silo = "{silo}"', f'type = "{name}"', address, *_record_url(name)]
        lines += ["```toml", *block, "```", ""]
    for label in LABELS:
        lines += [f"**{label}.** {said.told[label]}", ""]
    if silo is not None:
        named = f"`SOURCES__{name.upper()}__<SECRET>`"
        lines += [f"A secret is the environment variable {named}, or stands in `.dlt/secrets.toml`.", ""]
    tables: dict[str, TableSpec] = getattr(module, "TABLES", {})
    if tables:
        lines += ["| raw table | what it holds | key |", "|---|---|---|"]
        for table, spec in tables.items():
            key = ", ".join(f"`{column}`" for column in spec.primary_key)
            lines.append(f"| `{table}` | {spec.description.rstrip('.')} | {key} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _record_url(name: str) -> list[str]:
    """The optional key that says where the vendor shows its records to people, if any are known."""
    pages = record_pages(name)
    if pages is None:
        return []
    unless = ""
    if pages.default or pages.connector_knows:
        unless = ", if they are not where most are"
    elif pages.from_base_url:
        unless = ", if base_url does not tell it"
    return [f'# record_url = "{pages.example}"  # for links in digests{unless}']


def _sentence(text: str) -> str:
    """A paragraph on one line, beginning with a capital."""
    flat = " ".join(text.split())
    is_name = "_" in flat.split(maxsplit=1)[0]
    return flat if is_name else flat[:1].upper() + flat[1:]


def main() -> None:
    """Write the pages, and remove those of types that are no more."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    written = pages()
    for path in set(FOLDER.glob("*.md")) - written.keys():
        path.unlink()
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
