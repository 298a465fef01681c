"""How Great Expectations' Data Docs look here: pages of `views`, whole in themselves.

Great Expectations' own pages load their style sheets and scripts from four other companies' servers, and are
bare text and an empty index wherever these cannot be reached.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from great_expectations.render.view import DefaultJinjaIndexPageView, DefaultJinjaPageView
from jinja2 import ChoiceLoader, FileSystemLoader

VIEWS = FileSystemLoader(Path(__file__).parent / "views")


class Page(DefaultJinjaPageView):
    """A suite, or what came of it in a run."""

    _template = "gates_page.j2"

    def __init__(self, *given: Any, **more: Any) -> None:
        """Look for templates in `views` first."""
        super().__init__(*given, **more)
        self.env.loader = ChoiceLoader([VIEWS, self.env.loader])  # type: ignore[list-item]


class Index(DefaultJinjaIndexPageView):
    """Every run that is kept."""

    _template = "gates_index.j2"

    def __init__(self, *given: Any, **more: Any) -> None:
        """Look for templates in `views` first."""
        super().__init__(*given, **more)
        self.env.loader = ChoiceLoader([VIEWS, self.env.loader])  # type: ignore[list-item]
