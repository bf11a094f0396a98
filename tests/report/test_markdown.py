"""The matrix as Markdown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pytest_modelconform.report import markdown
from pytest_modelconform.report.log import Log, LogWriter
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

ABOUT = {
    "date": "2026-11-23T06:00:00+00:00",
    "processor": "some <processor>",
    "python": "3.11.7",
    "packages": {"torch": "2.14.1", "absent": None},
    "environments": {"caffe2": ["torch==1.4.0", "onnx==1.7.0"]},
}
PASS = Outcome(Verdict.PASS, bits=23.4)
CELLS = [
    (Cell("a.py", "net", "eager", "eager"), PASS),
    (Cell("a.py", "net", "onnx", "ort"), PASS),
    (
        Cell("a.py", "net", "onnx", "ort-cpp"),
        Outcome(Verdict.PASS, bits=20, inputs={"b": {"verdict": "unsupported", "message": "x was (3,): why\nlong"}}),
    ),
    (
        Cell("a.py", "net", "caffe2", "caffe2"),
        Outcome(Verdict.MISMATCH, Stage.COMPARE, "output | is <b>wrong</b>", bits=3),
    ),
    (
        Cell("a.py", "net", "onnx", "ort", dtype="bfloat16"),
        Outcome(Verdict.UNSUPPORTED, Stage.EXPORT, "format onnx can't: why"),
    ),
    (
        Cell("a.py", "net", "onnx", "ort-cpp", dtype="bfloat16"),
        Outcome(Verdict.ERROR, Stage.LOAD, "no kernel", expected=True, notes=("expected: known upstream",)),
    ),
]


def test_the_table() -> None:
    lines = markdown.render(Log(ABOUT, CELLS, True), "All of it").splitlines()
    assert lines[0] == "# All of it"
    table = [line for line in lines if line.startswith("|")]
    assert table == [
        "| format | runtime | net | net bfloat16 |",
        "| --- | --- | :-: | :-: |",
        "| model | eager PyTorch | ✓ 23 |  |",
        "| `caffe2` | `caffe2` | ≠ 3**!** |  |",
        "| `onnx` | `ort` | ✓ 23 | – |",
        "|  | `ort-cpp` | ◐ 20 | ✗ |",
    ]


def test_many_cases_have_a_table_for_each_field() -> None:
    cells = [(Cell(f"cases/vision/{n}.py", f"net_{n}", "onnx", "ort"), PASS) for n in range(20)]
    assert "## vision" not in markdown.render(Log(ABOUT, cells, True))
    cells += [(Cell("cases/text/a.py", "a", "mnn", "mnn", dtype=dtype), PASS) for dtype in ("float32", "float16")]
    lines = markdown.render(Log(ABOUT, cells, True)).splitlines()
    heads = [line for line in lines if line.startswith(("## ", "| format"))]
    assert [line.split(" | net")[0][:30].strip() for line in heads] == [
        *("## text", "| format | runtime | a |"),
        *("## text, other dtypes", "| format | runtime | a float16"),
        *("## vision", "| format | runtime"),
    ]
    cells += [(Cell(f"cases/vision/{n}.py", f"net_{n}", "onnx", "ort"), PASS) for n in range(20, 50)]
    lines = markdown.render(Log(ABOUT, cells, True)).splitlines()
    assert [line for line in lines if line.startswith("## vision")] == [f"## vision ({n} of 3)" for n in (1, 2, 3)]
    assert [line.count("net") for line in lines if line.startswith("| format | runtime | net")] == [16, 17, 17]
    # A column that none of the field's cases has is none of the table's.
    assert sum(line.startswith("| `mnn`") for line in lines) == 2


def test_what_a_column_cannot_do_is_said_once() -> None:
    refused = {"verdict": "unsupported", "message": "format aoti can't take <some>", "limit": "transposed-inputs"}
    outcome = Outcome(Verdict.PASS, bits=20, inputs={"a": {"verdict": "pass"}, "auto-transposed": refused})
    runtimes = ("torch", "cpp")
    cells = [(Cell("a.py", case, "aoti", runtime), outcome) for case in ("net", "other") for runtime in runtimes]
    page = markdown.render(Log(ABOUT, cells, True))
    assert page.count("format aoti can't take &lt;some&gt;") == 1
    assert "`aoti` in `cpp`, `aoti` in `torch`: format aoti can't take &lt;some&gt;." in page
    assert "◐ 20" not in page


def test_why_a_set_was_refused_is_said_once() -> None:
    page = markdown.render(Log(ABOUT, CELLS, True))
    assert "net: set `b` refused: x was (3,): why (`onnx` in `ort-cpp`)." in page
    assert "◐ pass in part, an input set was refused" in page
    assert "◐" not in markdown.render(Log(ABOUT, CELLS[:2], True))


def test_what_it_is_of() -> None:
    page = markdown.render(Log(ABOUT, CELLS, True))
    assert "2026-11-23, some &lt;processor&gt;, Python 3.11.7." in page
    assert "6 cells: 3 pass, 1 mismatch, 1 unsupported, 1 error; 1 of the failures is expected." in page
    assert "Versions: torch 2.14.1." in page
    assert "Environments of their own: `caffe2` with torch 1.4.0" in page
    assert "cut off" not in page
    assert "**This run was cut off: what is not here was not run.**" in markdown.render(Log(ABOUT, CELLS, False))


def test_every_reason_with_its_cells_and_escaped() -> None:
    page = markdown.render(Log(ABOUT, CELLS, True))
    assert "- **mismatch at compare**: output \\| is &lt;b&gt;wrong&lt;/b&gt;  \n  `caffe2` in `caffe2`: net" in page
    assert "- **error at load**: known upstream  \n  `onnx` in `ort-cpp`: net bfloat16" in page
    assert "- **unsupported at export**: format onnx can't: why  \n  `onnx` in `ort`: net bfloat16" in page


def test_from_a_log(tmp_path: Path) -> None:
    log = tmp_path / "run.jsonl"
    with LogWriter(log, ABOUT) as writer:
        for cell, outcome in CELLS:
            writer.cell(cell, outcome)
    command = [sys.executable, "-m", "pytest_modelconform.report.markdown"]
    done = subprocess.run([*command, str(log), "--title", "T"], capture_output=True, text=True, check=True)
    assert done.stdout == markdown.render(Log(ABOUT, CELLS, True), "T")
    gone = subprocess.run([*command, str(tmp_path / "none")], capture_output=True, text=True, check=False)
    assert gone.returncode == 2
    assert gone.stderr.startswith("modelconform: ")


def test_where_equal_lists_are_told_once() -> None:
    cells = [(Cell(f"{case}.py", case, "onnx", runtime), PASS) for case in ("a", "b") for runtime in ("ort", "ort-cpp")]
    cells += [(Cell("c.py", "c", "onnx-legacy", "ort", dtype="bfloat16"), PASS)]
    assert markdown.where(cells) == "`onnx` in `ort`, `ort-cpp`: a, b; `onnx-legacy` in `ort`: c bfloat16"
    assert markdown.where(cells, most=1).startswith("`onnx` in `ort`, `ort-cpp`: a and 1 more;")


def test_a_cause_is_named_by_its_id() -> None:
    cause = {"id": "ort-a", "reason": "takes b", "operator": "", "link": ""}
    outcome = Outcome(Verdict.ERROR, Stage.LOAD, "no", expected=True, notes=("expected: takes b",), cause=cause)
    page = markdown.render(Log(ABOUT, [(Cell("a.py", "net", "onnx", "ort"), outcome)], True))
    assert "- **error at load**: `ort-a`: takes b  \n  `onnx` in `ort`: net" in page
