"""Shows pages in a real browser, as Playwright drives it, and says what is seen of them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

#: Nothing is asked of the maker of the browser, there may be no sandbox for root and no graphics card.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

#: Addresses with a host that a page may reach: files, data and scripts have none.
HERE = {None, "", "127.0.0.1"}

_SEEN = """() => {
  const root = document.documentElement;
  const shown = (one) => one.checkVisibility({ checkOpacity: true }) && one.getClientRects().length > 0;
  const wide = [...document.body.querySelectorAll("*")].filter(
    (one) => shown(one) && one.getBoundingClientRect().right > root.clientWidth + 0.5
  );
  return {
    width: root.clientWidth, scrolls: root.scrollWidth, title: document.title, text: document.body.innerText,
    wide: wide.map((one) => one.outerHTML.slice(0, 200)),
    links: [...document.links].map((link) => [link.innerText, link.href]),
    active: document.querySelectorAll("script, img, iframe, object, embed, form, link, base").length,
    background: getComputedStyle(document.body).backgroundColor, color: getComputedStyle(document.body).color,
  };
}"""


def browser() -> str:
    """The browser's command; `make test` installs one where it may. Skips the test where there is none."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no Chromium here; Debian's package is chromium")
    return found


@contextlib.contextmanager
def opened(
    width: int = 1400, height: int = 900, scheme: Literal["light", "dark"] = "light"
) -> Iterator[tuple[Page, list[str]]]:
    """An empty page of this size while in the block, and what it asked of other machines, which is refused.

    Skips the test where there is no browser.
    """
    refused: list[str] = []

    def route(request: Route) -> None:
        if urlsplit(request.request.url).hostname in HERE:
            request.continue_()
        else:
            refused.append(request.request.url)
            request.abort()

    # The system's browser: Playwright's own would have to be downloaded.
    command = browser()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=command, args=list(FLAGS))
        page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.context.route("**/*", route)
        try:
            yield page, refused
        finally:
            chromium.close()


def seen(path: Path, widths: tuple[int, ...], dark: bool = False) -> list[dict[str, Any]]:
    """What is seen of a page at each width: its text, links, colours, and what is wider than the page.

    Fails the test if the page asks anything of another machine.
    """
    found = []
    with opened(scheme="dark" if dark else "light") as (page, refused):
        for width in widths:
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(path.as_uri())
            found.append(page.evaluate(_SEEN))
    assert refused == []
    return found
