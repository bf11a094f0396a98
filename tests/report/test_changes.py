"""A diff as text, Markdown and HTML."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.report import changes, summary
from pytest_modelconform.report.diff import compare
from pytest_modelconform.report.log import Log
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support import nasty

PASS = Outcome(Verdict.PASS, bits=20.0)
ERROR = Outcome(Verdict.ERROR, Stage.EXPORT, "no kernel\nand a stack")


def cell(case: str) -> Cell:
    return Cell("a.py", case, "onnx", "ort")


OLD = [("broken", PASS), ("mended", ERROR), ("same", PASS), ("gone", PASS), ("less", PASS)]
NEW = [("broken", ERROR), ("mended", PASS), ("same", PASS), ("fresh", PASS), ("less", Outcome(Verdict.PASS, bits=12))]
DIFF = compare(
    Log({"python": "3.11"}, [(cell(name), outcome) for name, outcome in OLD], True),
    Log({"python": "3.12"}, [(cell(name), outcome) for name, outcome in NEW], False),
)
HEADLINE = "1 regression; 1 worse number; 1 gone, or no longer run; 1 fix; 1 new; 1 cell as before."


def test_text() -> None:
    assert changes.text(DIFF).splitlines() == [
        HEADLINE,
        "Note: the new log is cut off.",
        "python: 3.11 → 3.12",
        "",
        "regressions (1)",
        "  ✗ a.py::broken[onnx-ort-cpu]: pass → error at stage export",
        "      no kernel",
        "",
        "worse numbers (1)",
        "  ▼ a.py::less[onnx-ort-cpu]: bits 20.0 → 12.0 (-8.0)",
        "",
        "gone, or no longer run (1)",
        "  ? a.py::gone[onnx-ort-cpu]: pass",
        "",
        "fixes (1)",
        "  ✓ a.py::mended[onnx-ort-cpu]: error at stage export → pass",
        "",
        "new (1)",
        "  + a.py::fresh[onnx-ort-cpu]: pass",
    ]


def test_markdown_folds_what_is_not_bad() -> None:
    page = changes.markdown(DIFF, summary.LIMIT)
    assert page.startswith(
        f"## Changes of the compatibility matrix\n\n{HEADLINE}\n\n**Note: the new log is cut off.**\n"
    )
    assert "### ✗ 1 regression\n\n- `a.py::broken[onnx-ort-cpu]`: pass → error at stage export  \n  no kernel\n" in page
    assert "<details><summary>✓ 1 fix</summary>\n\n- `a.py::mended[onnx-ort-cpu]`" in page
    assert "<details><summary>Versions</summary>\n\n- python: 3.11 → 3.12\n\n</details>" in page


def test_html() -> None:
    page = changes.html(DIFF)
    tags = nasty.Tags(page)
    assert HEADLINE in page
    is_open = {text: "open" in attributes for text, attributes in zip("vrwgfn", details(tags), strict=True)}
    assert is_open == {"v": False, "r": True, "w": True, "g": False, "f": False, "n": False}
    assert "script" not in tags.names


def details(tags: nasty.Tags) -> list[dict[str, str | None]]:
    return [attributes for tag, attributes in tags.found if tag == "details"]


def test_no_changes() -> None:
    nothing = compare(Log({}, [(cell("a"), PASS)], True), Log({}, [(cell("a"), PASS)], True))
    assert changes.text(nothing) == "No changes; 1 cell as before.\n"
    assert "<details" not in changes.markdown(nothing, summary.LIMIT)
    assert "No changes" in changes.html(nothing)


@pytest.mark.parametrize("limit", [2000, 10_000, 65_000])
def test_markdown_stays_under_its_limit(limit: int) -> None:
    cells = [cell(f"case_{i}") for i in range(3000)]
    before, after = Log({}, [(c, PASS) for c in cells], True), Log({}, [(c, ERROR) for c in cells], True)
    page = changes.markdown(compare(before, after), limit)
    assert len(page.encode()) <= limit
    assert "### ✗ 3000 regressions" in page
    shown = page.count("`a.py::case_")
    assert f"- … and {3000 - shown} more" in page


def test_whatever_names_and_texts_hold(tmp_path: Path) -> None:
    for log in (nasty.log(), nasty.reread(tmp_path)):
        green = Log({**nasty.ENVIRONMENT, "packages": {"<i>": "|"}}, [(c, PASS) for c, _ in log.cells], True)
        for one, other in ((green, log), (log, green), (log, Log({}, [], True)), (Log({}, [], True), log)):
            found = compare(one, other)
            allowed = {"details", "summary", "code", "p", "h2", "h3", "ul", "li", "br", "strong"}
            nasty.assert_harmless(nasty.html_of(changes.markdown(found, summary.LIMIT)), allowed)
            allowed = {"html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "strong", "code"}
            allowed |= {"details", "summary", "div", "table", "tr", "th", "td"}
            shown = nasty.assert_harmless(changes.html(found), allowed)
            assert "<script>alert(1)</script>" in "".join(shown.text)
            assert changes.text(found).count("\n") > 5
