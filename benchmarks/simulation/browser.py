"""How long a page of the report takes to open in a real Chromium, which is driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MARK = "performance.getEntriesByName('modelconform-{}')[0]?.startTime"
_FILTER = """async (word) => {
    const input = document.getElementById("f-text");
    const begin = performance.now();
    input.value = word;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    document.body.offsetHeight;
    return performance.now() - begin;
}"""


@dataclass(frozen=True)
class Opened:
    """Milliseconds from the navigation on: until the matrix is in use; all details are there; all squares are drawn.

    busy: of processor time that the page's thread took for all that, which other load on the machine leaves as it is.
    filtered: of one filter by text. heap: bytes of the page's JavaScript.
    """

    interactive: float
    complete: float
    drawn: float
    busy: float
    filtered: float
    heap: int


@contextmanager
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if path is None:
        raise SystemExit("no Chromium on PATH: install one (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-precise-memory-info"]
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def measure(browser: Any, page: Path, word: str, times: int = 3, picture: Path | None = None) -> list[Opened]:
    """Open a page several times, each in a context of its own. word: what is searched for."""
    return [_opened(browser, page, word, picture if number == 0 else None) for number in range(times)]


def _opened(browser: Any, file: Path, word: str, picture: Path | None) -> Opened:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        page.set_default_timeout(120_000)
        metrics = context.new_cdp_session(page)
        metrics.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto(file.absolute().as_uri())
        page.wait_for_selector("html[data-complete]", state="attached")
        page.wait_for_selector("html[data-drawn]", state="attached")
        drawn = page.evaluate("performance.now()")
        found = {one["name"]: one["value"] for one in metrics.send("Performance.getMetrics")["metrics"]}
        interactive, complete = (float(page.evaluate(_MARK.format(name))) for name in ("interactive", "complete"))
        if picture is not None:
            page.screenshot(path=picture)
        filtered = page.evaluate(_FILTER, word)
        heap = page.evaluate("performance.memory?.usedJSHeapSize ?? 0")
        return Opened(interactive, complete, float(drawn), 1000 * found["TaskDuration"], float(filtered), int(heap))
    finally:
        context.close()
