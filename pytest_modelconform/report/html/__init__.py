"""The report as one page that holds all it needs: no network, no folder beside it. A rendering of the log.

`page.html.jinja` is its frame, `styles/` and `scripts/` go into it as they are, `payload.py` makes the data. A browser
does the rest: what models and libraries say reaches the page as JSON only, and its scripts put it there as text.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import jinja2
from markupsafe import Markup

from ..log import Log
from .payload import embedded, make

_HERE = Path(__file__).parent
# Details of more cells than that are deflated: a page is mailed, and kept in repositories.
UNPACKED = 1000
# So many of them together: a browser unpacks those that are asked for.
PACK = 500
# In the order in which they need each other.
SCRIPTS = ("data.js", "words.js", "grid.js", "cell.js", "chart.js", "pages.js", "main.js")


def render(log: Log, title: str = "Compatibility matrix") -> str:
    """The whole page. The same log gives the same page."""
    return "".join(pieces(log, title))


def pieces(log: Log, title: str) -> Iterator[str]:
    """The page piece by piece: the details of all cells at once would take many times the memory."""
    payload = make(log)
    lines = map(embedded, payload.details)
    is_packed = len(payload.shown) > UNPACKED
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
