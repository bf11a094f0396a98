"""The report as a page that holds all it needs: no network, no folder beside it. A rendering of the log.

`page.html.jinja` is its frame, `styles/` and `scripts/` go into it as they are, `payload.py` makes the data. A browser
does the rest: what models and libraries say reaches the page as JSON only, and its scripts put it there as text.

A log of more cells than a browser bears becomes several such pages, by the folders of case files (`parts.py`), and one
in front of them (`overview.py`).
"""

from __future__ import annotations

import base64
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from ..log import Log
from ..plural import counted
from . import overview
from .frame import framed
from .parts import divide
from .payload import embedded, make

TITLE = "Compatibility matrix"
# Cells of a page, at the most. In Chromium one with so many is in use after half a second and holds all squares after
# two, on a busy machine with two cores (benchmarks/simulation/); time and memory grow with the cells.
MOST = 20_000
# Details of more cells than that are deflated: a page is mailed, and kept in repositories.
UNPACKED = 1000
# So many of them together: a browser unpacks those that are asked for.
PACK = 500
# In the order in which they need each other.
SCRIPTS = ("data.js", "words.js", "frame.js", "grid.js", "cell.js", "chart.js", "pages.js", "main.js")
_FOLDER = ".parts"
# How a page of ours begins.
_OURS = re.compile(r'<meta name="generator" content="pytest-modelconform">')


def render(log: Log, title: str = TITLE) -> str:
    """All of the log as one page, however large. The same log gives the same page."""
    return "".join(pieces(log, title))


def pieces(log: Log, title: str, part: Any = None) -> Iterator[str]:
    """The page piece by piece: the details of all cells at once would take many times the memory.

    part: which one of several pages it is, for the links to the others.
    """
    payload = make(log)
    lines = map(embedded, payload.details)
    is_packed = len(payload.shown) > UNPACKED
    about = {"title": title, **payload.index, **({"part": True} if part else {})}
    return framed(
        "page.html.jinja",
        SCRIPTS,
        title,
        index=Markup(embedded(about)),
        part=part,
        packed=PACK if is_packed else 0,
        details=map(Markup, _packed(lines) if is_packed else _joined(lines)),
    )


def _joined(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield "\n" * (number > 0) + line


def _packed(lines: Iterable[str]) -> Iterator[str]:
    """Deflated, in base64, a line a pack: details are much alike, and become a tenth."""
    lines = iter(lines)
    separator = ""
    while pack := list(itertools.islice(lines, PACK)):
        yield separator + base64.b64encode(zlib.compress("\n".join(pack).encode("utf-8", "replace"), 9)).decode()
        separator = "\n"


def write(log: Log, path: Path, title: str = TITLE) -> str:
    """Write the page to a file; of a log of more than `MOST` cells, its parts to a folder beside that.

    Returns what there is to say of it: that there are several, and where. "" for one page. What an earlier report left
    in that folder goes.
    """
    folder = path.with_name(f"{path.stem}{_FOLDER}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if len({cell for cell, _ in log.cells}) <= MOST:
        _save(path, pieces(log, title))
        _clear(folder, ())
        return ""
    parts = divide(log.cells, MOST)
    folder.mkdir(exist_ok=True)
    for number, part in enumerate(parts):
        links = {
            "name": part.name,
            "overview": f"../{quote(path.name)}",
            "before": parts[number - 1] if number else None,
            "after": parts[number + 1] if number + 1 < len(parts) else None,
        }
        _save(folder / part.file, pieces(replace(log, cells=list(part.cells)), title, links))
    # What leads to the parts comes when they are there.
    _save(path, overview.pieces(log, title, parts, quote(folder.name)))
    _clear(folder, [part.file for part in parts])
    return f"{path} leads to {counted(len(parts), 'page')} in {folder}: keep them together."


def _save(path: Path, text: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", errors="replace") as file:
        file.writelines(text)


def _clear(folder: Path, kept: Sequence[str]) -> None:
    """Remove pages that an earlier report left: whoever opens one would take it for this one's."""
    for page in folder.glob("*.html"):
        if page.name not in kept and _is_ours(page):
            page.unlink()
    with suppress(OSError):
        folder.rmdir()  # one that is empty


def _is_ours(page: Path) -> bool:
    with page.open(encoding="utf-8", errors="replace") as file:
        return _OURS.search(file.read(2000)) is not None
