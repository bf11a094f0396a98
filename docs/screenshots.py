"""Make the pictures of the README from a real log: `python docs/screenshots.py LOG`.

They are taken by a Chromium that is on this machine (or that MODELCONFORM_CHROMIUM names), driven by Playwright, and
written to docs/images/.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Browser

from pytest_modelconform.report import html
from pytest_modelconform.report.log import Log, LogError, read
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Verdict

Theme = Literal["light", "dark"]
IMAGES = Path(__file__).parent / "images"
# A README should load at once.
MOST_BYTES = 300_000


def addresses(log: Log) -> dict[str, tuple[Theme, str]]:
    """By the picture's name the theme, and the part of the report to show: what fits the log."""
    cell = _telling_cell(log.cells)
    case = _well_tried_case(log.cells)
    return {
        "matrix-light": ("light", ""),
        "matrix-dark": ("dark", ""),
        "bits": ("light", "colour=bits"),
        "cell": ("light", f"cell={quote(cell.id)}"),
        "case": ("light", f"case={quote(case)}"),
    }


def _telling_cell(cells: Sequence[tuple[Cell, Outcome]]) -> Cell:
    """The mismatch that says most, or the first cell."""
    mismatches = [(len(o.hints), len(o.inputs), c.id, c) for c, o in cells if o.verdict is Verdict.MISMATCH]
    return max(mismatches, key=lambda found: found[:3])[-1] if mismatches else cells[0][0]


def _well_tried_case(cells: Sequence[tuple[Cell, Outcome]]) -> str:
    """The case that passes in most places."""
    passes: dict[str, int] = {}
    for cell, outcome in cells:
        key = f"{cell.file}::{cell.case}"
        passes[key] = passes.get(key, 0) + (outcome.verdict is Verdict.PASS)
    return max(passes, key=lambda key: passes[key])


def take(browser: Browser, page: Path, name: str, theme: Theme, address: str) -> Path:
    """One picture. Raises ValueError for one that is too large."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=theme)
    tab = context.new_page()
    tab.goto(f"{page.as_uri()}#{address}")
    tab.wait_for_selector("html[data-complete][data-drawn]", state="attached")
    target = IMAGES / f"{name}.png"
    tab.screenshot(path=target)
    context.close()
    if (size := target.stat().st_size) > MOST_BYTES:
        raise ValueError(f"{target} has {size} bytes, more than {MOST_BYTES}")
    return target


def main() -> int:
    """Take all of them."""
    parser = argparse.ArgumentParser(description="Make the pictures of the README from a real log.")
    parser.add_argument("log", type=Path)
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    try:
        log = read(arguments.log)
    except (OSError, LogError) as error:
        print(f"screenshots: {error}", file=sys.stderr)
        return 2
    executable = os.environ.get("MODELCONFORM_CHROMIUM") or shutil.which("chromium")
    if not log.cells or executable is None:
        print(
            "screenshots: needs a log with cells, and a Chromium on PATH or in MODELCONFORM_CHROMIUM", file=sys.stderr
        )
        return 2
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = Path(folder) / "report.html"
        html.write(log, page)
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        for name, (theme, address) in addresses(log).items():
            print(take(browser, page, name, theme, address))
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
