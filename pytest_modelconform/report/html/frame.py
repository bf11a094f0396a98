"""What all pages have in common: the template around them, and a policy that lets only their own scripts run."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

_HERE = Path(__file__).parent
THEME = "scripts/theme.js"


def framed(template: str, scripts: Sequence[str], title: str, **values: Any) -> Iterator[str]:
    """A page piece by piece. scripts: in the order in which they need each other. values: what else is in it."""
    theme, script = source(THEME), _joined(scripts)
    # Only these two run, whatever a text contains that was not escaped.
    allowed = f"{hash_of(theme)} {hash_of(script)}"
    return (
        _environment()
        .get_template(template)
        .generate(
            title=title,
            style=Markup(source("styles/report.css")),
            theme=Markup(theme),
            script=Markup(script),
            policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}",
            **values,
        )
    )


@functools.cache
def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(_HERE)
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)


def _joined(scripts: Sequence[str]) -> str:
    # One function's scope for all of them: the page has no names that a text in it could meet.
    return "(() => {\n" + "\n".join(source(f"scripts/{name}") for name in scripts) + "})();\n"


def source(name: str) -> str:
    """A file that goes into pages as it is."""
    return (_HERE / name).read_text(encoding="utf-8")


def hash_of(script: str) -> str:
    """A script as a content security policy names it."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"
