"""The page's colours: each verdict has its own, and one can read what stands on them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pytest_modelconform.report.html as html
from pytest_modelconform.terms.outcome import STYLES, Verdict

CSS = (Path(html.__file__).parent / "styles" / "report.css").read_text()
COLOURS = {
    name: (light, dark)
    for name, light, dark in re.findall(r"^  --([\w-]+): light-dark\((#\w{6}), (#\w{6})\);$", CSS, re.MULTILINE)
}
FAILED = [verdict.value for verdict, style in STYLES.items() if style.outcome == "failed"]


def luminance(colour: str) -> float:
    """As WCAG 2.2 has it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_every_verdict_has_a_rule() -> None:
    assert [verdict.value for verdict in Verdict if f".mark.v-{verdict.value}" not in CSS] == []


@pytest.mark.parametrize("verdict", FAILED)
@pytest.mark.parametrize("kind", ["", "-pale"])
def test_what_stands_on_a_failure_can_be_read(verdict: str, kind: str) -> None:
    ground, text = COLOURS[f"{verdict}{kind}"], COLOURS[f"{verdict}{kind}-text"]
    assert min(map(contrast, ground, text)) >= 4.5, (ground, text)


def test_no_two_failures_look_alike() -> None:
    assert len({COLOURS[verdict] for verdict in FAILED}) == len(FAILED)
