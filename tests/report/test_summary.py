"""The folded page for a CI job."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_modelconform.report import markdown, summary
from pytest_modelconform.report.log import Log
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support import nasty

GOOD = [(Cell(f"{name}.py", name, "onnx", "ort"), Outcome(Verdict.PASS, bits=21)) for name in ("mlp", "lstm_2")]
BAD = [
    (Cell("net.py", "net", "eager", "eager"), Outcome(Verdict.PASS, bits=21)),
    (Cell("net.py", "net", "onnx", "ort"), Outcome(Verdict.MISMATCH, Stage.COMPARE, "output is wrong", bits=3)),
    (Cell("net.py", "net", "onnx", "ort-cpp"), Outcome(Verdict.PASS, bits=21)),
]
KNOWN = [
    (
        Cell("old_net.py", "old_net", "onnx", "ort"),
        Outcome(Verdict.ERROR, Stage.EXPORT, "no | kernel", expected=True, notes=("expected: known | upstream",)),
    )
]


def test_what_is_green_is_folded() -> None:
    page = summary.render(Log({}, GOOD, True))
    assert "2 cells: ✓ 2 pass" in page
    assert "<details><summary>✓ 2 cases pass everywhere</summary>\n\nlstm\\_2 (1), mlp (1)\n\n</details>" in page
    assert "<details open>" not in page
    assert "###" not in page


def test_what_fails_comes_first_and_is_open() -> None:
    page = summary.render(Log({}, [*GOOD, *KNOWN, *BAD], True), "All")
    assert page.startswith(
        "## All\n\n6 cells: ✓ 4 pass, ≠ 1 mismatch, ✗ 1 error; 1 is expected, as `expected.toml` says\n"
    )
    order = ["### 1 not as expected", "≠ **mismatch** at stage compare: `net.py::net[onnx-ort-cpu]`", "```text\noutput"]
    order += [
        "<details open><summary><b>net</b>: ✓ 1 pass, ≠ 1 mismatch",
        "<details><summary><b>old_net</b>: ✗ 1 error",
    ]
    order += ["<details><summary>✓ 2 cases", "<details><summary>The whole matrix"]
    places = [page.index(text) for text in order]
    assert places == sorted(places)
    assert "| `onnx` | `ort` | ✗ | at export: known \\| upstream |" in page
    assert "Pass: `onnx` in `ort-cpp` ✓ 21" in page


def test_a_log_that_is_cut_off_or_lacks_shards_says_so_first() -> None:
    assert summary.render(Log({}, GOOD, False)).split("\n\n")[1].startswith("**The log is cut off:")
    lacking = Log({"missing": ["shard 2 of 3"]}, GOOD, False)
    assert summary.render(lacking).split("\n\n")[1] == "**Missing: shard 2 of 3. What is not here was not run.**"


def many(cases: int, columns: int) -> Log:
    message = "output is wrong ☃ " * 20

    def outcome(i: int, j: int) -> Outcome:
        # Failures of a case with the same message would be one.
        failed = Outcome(Verdict.MISMATCH, Stage.COMPARE, f"{message}{j}")
        return Outcome(Verdict.PASS, bits=20) if (i + j) % 2 else failed

    return Log(
        {},
        [
            (Cell(f"cases/case_{i}.py", f"case_{i}", f"format-{j}", "runtime"), outcome(i, j))
            for i in range(cases)
            for j in range(columns)
        ],
        True,
    )


@pytest.mark.parametrize("limit", [2000, 5000, 65_000, summary.LIMIT])
def test_the_page_stays_under_its_limit(limit: int) -> None:
    page = summary.render(many(200, 60), limit=limit)
    assert len(page.encode()) <= limit
    assert f"**Left out here, since the page has a limit of {limit} bytes** (" in page
    # What is shown is shown as a whole.
    assert page.count("<details") == page.count("</details>")
    assert page.count("```") % 2 == 0
    shown = page.count("**mismatch**")
    left_out = int(match[1]) if (match := re.search(r"failures: (\d+)", page)) else 0
    assert shown + left_out == 6000


def test_one_cause_is_one_failure() -> None:
    refused = Outcome(Verdict.ERROR, Stage.EXPORT, "no operator")
    cells = [(Cell("net.py", "net", "onnx", runtime), refused) for runtime in ("ort", "ort-cpp", "openvino")]
    page = summary.render(Log({}, cells, True)).partition("<details")[0]
    assert page.count("no operator") == 1
    assert "Also in `net[onnx-ort_cpp-cpu]`, `net[onnx-openvino-cpu]`." in page
    surprise = [(Cell("net.py", "net", "onnx", "ort"), Outcome(Verdict.PASS, expected=False, message="remove it"))]
    assert "✓ **UNEXPECTED PASS**: `net.py::net[onnx-ort-cpu]`" in summary.render(Log({}, surprise, True))


def test_githubs_limit_is_one_mebibyte() -> None:
    assert summary.LIMIT < 1 << 20


@pytest.mark.parametrize("text", nasty.TEXTS)
def test_escaped_text_is_one_line_without_tags(text: str) -> None:
    for shown in (markdown.escaped(text), markdown.in_html(text), markdown.code(text)):
        assert "\n" not in shown
        nasty.assert_harmless(shown, {"code"})
        assert not re.search(r"@\w", shown)
    # A pipe ends a table's cell, even in code.
    for shown in (markdown.escaped(text), markdown.code(text)):
        assert not re.search(r"(?<!\\)\|", shown)


@pytest.mark.parametrize("text", nasty.TEXTS)
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    page = nasty.html_of(f"- **a**: {markdown.escaped(text)}\n- {markdown.code(text)}\n")
    shown = nasty.assert_harmless(page, {"ul", "li", "strong", "code"})
    wanted = " ".join(text.split())
    assert "".join(shown.text).split("a:")[1].split("\n")[0].strip() == wanted.replace("\x00", "\ufffd")


@pytest.mark.parametrize("text", nasty.TEXTS)
def test_a_block_of_code_holds_any_text(text: str) -> None:
    tags = nasty.assert_harmless(nasty.html_of(f"{summary.fenced(text)}\n\nafter\n"), {"pre", "code", "p"})
    assert [tag for tag, _ in tags.found] == ["pre", "code", "p"]


ALLOWED = {"details", "summary", "b", "strong", "code", "pre", "p", "h2", "h3", "ul", "li", "br"}
ALLOWED |= {"table", "thead", "tbody", "tr", "th", "td"}


def test_whatever_names_and_texts_hold(tmp_path: Path) -> None:
    for log in (nasty.log(), nasty.reread(tmp_path)):
        tags = nasty.assert_harmless(nasty.html_of(summary.render(log)), ALLOWED)
        assert tags.names == ALLOWED - {"ul", "li", "br"}
        assert tags.count("details") == tags.count("summary")
        page = nasty.html_of(markdown.render(log, nasty.TEXTS[1]))
        assert nasty.assert_harmless(page, ALLOWED | {"h1"}).count("h1") == 1


def test_a_table_has_as_many_cells_in_every_row() -> None:
    # A field's table ends with a blank line.
    blocks = markdown.render(nasty.log()).split("\n\n")
    tables = [block.splitlines() for block in blocks if block.startswith("|")]
    assert tables
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
