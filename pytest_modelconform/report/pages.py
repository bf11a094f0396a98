"""Small pages of HTML from templates. Everything that a template is given is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def page(name: str, **values: Any) -> str:
    """A template of this package, filled in."""
    # Here: a run's terminal report has no use for it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(values) + "\n"
