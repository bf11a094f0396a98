"""How long the pages of a large log take to be written, and to open in a real Chromium."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from pytest_modelconform.report import html

from . import browser
from .records import Source

# Filtered by on each page: a word that some rows of the zoo have.
WORD = "whisper"


def measure(path: Path, sizes: list[int], wide: int, pictures: Path | None) -> None:
    """A row a page: the only one; or the one in front, and the largest of the parts."""
    source = Source.read(path)
    heads = "".join(f"{name:>10}" for name in ("in use", "complete", "drawn", "busy", "filter"))
    print(f"{'cells':>7}  {'page':34} {'MB':>6}{heads}    heap")
    with browser.chromium() as chromium, tempfile.TemporaryDirectory() as folder:
        for cells in sizes:
            report = Path(folder, str(cells), "report.html")
            log = source.log(cells, wide)
            begun = time.process_time()
            said = html.write(log, report)
            print(f"{cells:7}  written in {time.process_time() - begun:.1f} s of processor time; {said or 'one page'}")
            parts = sorted(report.parent.rglob("*.parts/*.html"), key=lambda page: page.stat().st_size)
            for page in (report, *parts[-1:]):
                picture = pictures / f"{cells}-{page.stem}.png" if pictures else None
                found = browser.measure(chromium, page, WORD, picture=picture)
                middle = [
                    statistics.median(getattr(one, name) for one in found)
                    for name in ("interactive", "complete", "drawn", "busy", "filtered")
                ]
                words = "".join(f"{milliseconds:7.0f} ms" for milliseconds in middle)
                heap = max(one.heap for one in found) / 1e6
                print(f"{'':7}  {page.name:34} {page.stat().st_size / 1e6:6.2f}{words} {heap:4.0f} MB", flush=True)
