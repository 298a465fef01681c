"""Shows pages in a real browser and says what is seen of them."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

#: A frame a width: a window of a browser without a screen does not get as narrow as a phone.
_FRAMES = """<!doctype html><meta charset="utf-8"><body>{frames}<pre id="seen"></pre><script>
onload = () => {{
  const pages = [...document.querySelectorAll("iframe")].map((frame) => {{
    const page = frame.contentDocument, root = page.documentElement;
    const shown = (one) => one.checkVisibility({{ checkOpacity: true }}) && one.getClientRects().length > 0;
    const wide = [...page.body.querySelectorAll("*")].filter(
      (one) => shown(one) && one.getBoundingClientRect().right > root.clientWidth + 0.5
    );
    return {{
      width: root.clientWidth, scrolls: root.scrollWidth, title: page.title, text: page.body.innerText,
      wide: wide.map((one) => one.outerHTML.slice(0, 200)),
      links: [...page.links].map((link) => [link.innerText, link.href]),
      active: page.querySelectorAll("script, img, iframe, object, embed, form, link, base").length,
      background: getComputedStyle(page.body).backgroundColor, color: getComputedStyle(page.body).color,
    }};
  }});
  document.getElementById("seen").textContent = JSON.stringify(pages);
}};
</script>"""


def browser() -> str:
    """The browser's command; `make test` installs one where it may. Skips the test where there is none."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no Chromium here; Debian's package is chromium")
    return found


def seen(page: Path, widths: tuple[int, ...], dark: bool = False) -> list[dict[str, Any]]:
    """What is seen of a page at each width: its text, links, colours, and what is wider than the page."""
    style = "border:0;display:block;height:900px"
    frames = "".join(
        f'<iframe src="{page.as_uri()}" style="width:{width}px;{style}"></iframe>' for width in widths
    )
    harness = page.with_name(f".{page.stem}-frames.html")
    harness.write_text(_FRAMES.format(frames=frames), encoding="utf-8")
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--window-size=1400,1000",
    ]
    options += ["--allow-file-access-from-files", f"--user-data-dir={page.parent / '.browser'}"]
    options += [f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--virtual-time-budget=10000"]
    done = subprocess.run(
        [browser(), *options, "--dump-dom", harness.as_uri()], capture_output=True, text=True, timeout=120
    )
    found = re.search(r'<pre id="seen">(.+?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stdout[-2000:] + done.stderr[-2000:]
    answer: list[dict[str, Any]] = json.loads(html.unescape(found[1]))
    return answer
