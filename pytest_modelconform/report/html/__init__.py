"""The report as one page that holds all it needs: no network, no folder beside it. A rendering of the log.

`page.html.jinja` is its frame, `styles/` and `scripts/` go into it as they are, `payload.py` makes the data. A browser
does the rest: what models and libraries say reaches the page as JSON only, and its scripts put it there as text.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ..log import Log
from .payload import embedded, make

_HERE = Path(__file__).parent
# Details of more cells than that are deflated: a page is mailed, and kept in repositories.
UNPACKED = 1000
# In the order in which they need each other.
SCRIPTS = ("data.js", "words.js", "grid.js", "cell.js", "chart.js", "pages.js", "main.js")


def render(log: Log, title: str = "Compatibility matrix") -> str:
    """The whole page. The same log gives the same page."""
    return "".join(pieces(log, title))


def pieces(log: Log, title: str) -> Iterator[str]:
    """The page piece by piece: the details of all cells at once would take many times the memory."""
    payload = make(log)
    lines = _lines(payload.details)
    theme, script = _file("scripts/theme.js"), _script()
    # Only these two run, whatever a text contains that was not escaped.
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {_hash(theme)} {_hash(script)}"
    return _template().generate(
        title=title,
        style=Markup(_file("styles/report.css")),
        theme=Markup(theme),
        script=Markup(script),
        policy=policy,
        index=Markup(embedded({"title": title, **payload.index})),
        packed=len(payload.shown) > UNPACKED,
        details=map(Markup, _packed(lines) if len(payload.shown) > UNPACKED else lines),
    )


def _lines(details: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for number, detail in enumerate(details):
        yield ("\n" if number else "") + embedded(detail)


def _packed(lines: Iterable[str]) -> Iterator[str]:
    """Deflated, in base64: lines of thousands of cells are much alike, and become a tenth."""
    packer = zlib.compressobj(9)
    left = b""
    for part in (*map(packer.compress, (line.encode("utf-8", "replace") for line in lines)), packer.flush()):
        left += part
        whole = len(left) // 3 * 3  # What base64 needs no padding for.
        yield base64.b64encode(left[:whole]).decode()
        left = left[whole:]
    yield base64.b64encode(left).decode()


def write(log: Log, path: Path, title: str = "Compatibility matrix") -> None:
    """Write the page to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(pieces(log, title))


@functools.cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(_HERE)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.get_template("page.html.jinja")


def _script() -> str:
    # One function's scope for all of them: the page has no names that a text in it could meet.
    return "(() => {\n" + "\n".join(_file(f"scripts/{name}") for name in SCRIPTS) + "})();\n"


def _file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"
