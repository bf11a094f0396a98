"""The matrix as it is printed: wide and narrow, with colour and without."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from _pytest._io import TerminalWriter

from pytest_modelconform.report import matrix, rerun, terminal
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import STYLES, Outcome, Stage, Verdict

FORMATS = {"torchscript-trace": ("torch", "libtorch-cpp"), "onnx": ("ort", "ort-cpp", "openvino")}


def cell(case: str, format_name: str, runtime: str, **more: str) -> Cell:
    return Cell(f"{case}.py", case, format_name, runtime, **more)


def check(case: str) -> Cell:
    return cell(case, "eager", "eager")


def cells() -> list[tuple[Cell, Outcome]]:
    found = [(check("resnet18"), Outcome(Verdict.PASS, bits=21.4)), (check("vit"), Outcome(Verdict.PASS, bits=20.0))]
    found += [
        (cell(case, name, runtime), Outcome(Verdict.PASS, bits=20.6))
        for case in ("resnet18", "vit")
        for name, runtimes in FORMATS.items()
        for runtime in runtimes
    ]
    changed = {
        cell("vit", "onnx", "ort"): Outcome(
            Verdict.MISMATCH, Stage.COMPARE, "input set 'a': output loses 9 bits", bits=11.7
        ),
        cell("vit", "onnx", "ort-cpp"): Outcome(
            Verdict.ERROR, Stage.EXPORT, "no", expected=True, notes=("expected: known",)
        ),
        cell("vit", "onnx", "openvino"): Outcome(
            Verdict.UNAVAILABLE, Stage.ENVIRONMENT, "runtime openvino needs openvino"
        ),
        cell("resnet18", "onnx", "ort"): Outcome(
            Verdict.PASS, bits=19.0, inputs={"a": {"verdict": "pass"}, "b": {"verdict": "unsupported"}}
        ),
    }
    return [(c, changed.get(c, outcome)) for c, outcome in found]


REFUSED = {"verdict": "unsupported", "message": "format aoti can't take transposed tensors: why", "limit": "x"}


def test_what_a_column_cannot_do_is_said_once_and_its_cells_are_whole() -> None:
    sets: dict[str, dict[str, Any]] = {"a": {"verdict": "pass"}, "auto-transposed": REFUSED}
    passes = Outcome(Verdict.PASS, bits=19.0, inputs=sets)
    partly = Outcome(Verdict.PASS, bits=19.0, inputs={**sets, "b": {"verdict": "unsupported"}})
    runtimes = ("torch", "libtorch-cpp")
    found = [(cell(case, "aoti", runtime), passes) for case in ("net", "other") for runtime in runtimes]
    found.append((cell("third", "aoti", "torch"), partly))
    text = printed(found)
    assert text.count("format aoti can't take transposed tensors: why") == 1
    assert "aoti · torch, aoti · libtorch-cpp: format aoti can't take transposed tensors: why" in text
    assert ". 19" in next(line for line in text.splitlines() if line.startswith("net"))
    # What is the case's own stays a half.
    assert "o 19" in next(line for line in text.splitlines() if line.startswith("third"))


def printed(found: list[tuple[Cell, Outcome]], width: int = 120, colour: bool = False, complete: bool = True) -> str:
    file = io.StringIO()
    writer = TerminalWriter(file)
    writer.hasmarkup, writer.fullwidth = colour, width
    terminal.write(
        matrix.fold(found, list(FORMATS), [name for names in FORMATS.values() for name in names]),
        writer,
        lambda cell: rerun.command(cell, (), None, Path.cwd()),
        complete,
    )
    return file.getvalue()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_wide_and_without_colour() -> None:
    lines = [line.rstrip() for line in printed(cells()).splitlines()]
    assert lines[:4] == [
        "                 torchscript-trace    onnx",
        "case      model  torch  libtorch-cpp  ort   ort-cpp  openvino",
        "resnet18  . 21   . 21   . 21          o 19  . 21     . 21",
        "vit       . 20   . 21   . 21          M 12  e        -",
    ]
    assert lines[4] == "12 cells: . 9 pass, - 1 unavailable, M 1 mismatch, E 1 error (1 expected)"
    assert "unavailable (1): runtime openvino needs openvino" in lines
    assert lines[-3:] == [
        "vit.py::vit[onnx-ort-cpu]: mismatch at stage compare",
        "  input set 'a': output loses 9 bits",
        "  rerun: pytest --modelconform 'vit.py::vit[onnx-ort-cpu]'",
    ]


def test_with_colour() -> None:
    text = printed(cells(), colour=True)
    assert "\x1b[32m✓ 21" in text
    assert "\x1b[31m≠ 12" in text
    # Expected failures are yellow, and pass with a set that is unsupported has a symbol of its own.
    assert "\x1b[33m✗" in text
    assert "◐ 19" in text
    shown = plain(text).splitlines()
    assert shown[2].rstrip() == "resnet18  ✓ 21   ✓ 21   ✓ 21          ◐ 19  ✓ 21     ✓ 21"


@pytest.mark.parametrize("width", [80, 60, 40, 20])
@pytest.mark.parametrize("colour", [False, True])
def test_narrow(width: int, colour: bool) -> None:
    many = [
        (cell(case, f"format-{i}", "a-rather-long-runtime"), Outcome(Verdict.PASS, bits=21.0))
        for case in ("resnet18", "vit")
        for i in range(14)
    ]
    lines = plain(printed([*cells(), *many], width=width, colour=colour)).splitlines()
    table = lines[: next(i for i, line in enumerate(lines) if " cells: " in line)]
    legend = [line for line in table if re.match(r" +\d+ \S+ · ", line)]
    rows = [line.rstrip() for line in table if line not in legend]
    assert max(map(len, rows)) <= width
    # Every column is named once, and every row repeated for each part of the table.
    assert len(legend) == 19
    assert legend[0].split() == ["1", "torchscript-trace", "·", "torch"]
    heads = [line.split()[1:] for line in rows if line.startswith("case")]
    assert [head for part in heads for head in part] == ["model", *map(str, range(1, 20))]
    assert sum(line.startswith("vit") for line in rows) == len(heads)


def test_cells_that_only_follow_are_counted_and_not_shown() -> None:
    found = [
        (check("zero"), Outcome(Verdict.ERROR, Stage.REFERENCE, "case 'zero': output is 0 everywhere")),
        *(
            (cell("zero", "onnx", runtime), Outcome(Verdict.ERROR, Stage.REFERENCE, "see zero[eager]"))
            for runtime in ("ort", "ort-cpp")
        ),
    ]
    text = printed(found)
    assert "2 of the errors only follow from a model check (eager) that failed" in text
    assert text.count("rerun:") == 1
    assert "zero.py::zero[eager]: error at stage reference" in text


def test_contradicted_expectations_are_failures_even_of_a_pass() -> None:
    found = [
        (cell("a", "onnx", "ort"), Outcome(Verdict.PASS, message="expected.toml, entry 1 expects …", expected=False))
    ]
    text = printed(found)
    assert "a.py::a[onnx-ort-cpu]: pass\n  expected.toml, entry 1 expects" in text
    assert text.splitlines()[2].split() == ["a", "!"]


def test_long_messages_are_cut_and_nothing_is_raw() -> None:
    message = "\n".join(f"\x1b[31mline {i}\x1b]0;title\x07\x08" for i in range(40))
    text = printed([(cell("a", "onnx", "ort"), Outcome(Verdict.CRASH, Stage.RUN, message, notes=("\x1b[2Jnote",)))])
    assert "line 0" in text
    assert "line 39" not in text
    assert "more lines above and in the log" in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)


def test_hints_are_never_cut() -> None:
    hints = ("output has the model's values times 2", "computed with bfloat16 weights")
    message = "\n".join([*(f"line {i}" for i in range(40)), *(f"likely cause: {hint}" for hint in hints)])
    text = printed([(cell("a", "onnx", "ort"), Outcome(Verdict.MISMATCH, Stage.COMPARE, message, hints=hints))])
    assert "34 more lines above and in the log" in text
    assert [line.strip() for line in text.splitlines() if "likely" in line] == [f"likely cause: {h}" for h in hints]


def test_a_log_that_is_cut_off_is_said_to_be() -> None:
    assert "The log is cut off: not all cells are in it." in printed(cells(), complete=False)
    assert "cut off" not in printed(cells())


def test_devices_dtypes_and_precisions_are_named_where_they_differ() -> None:
    found = [
        (cell("a", "onnx", "ort"), Outcome(Verdict.PASS)),
        (cell("a", "onnx", "ort", device="cuda"), Outcome(Verdict.PASS)),
        (cell("a", "onnx", "ort", dtype="bfloat16"), Outcome(Verdict.PASS)),
        (cell("a", "onnx", "ort", precision="fast"), Outcome(Verdict.MISMATCH, Stage.COMPARE)),
    ]
    assert [line.rstrip() for line in printed(found).splitlines()[1:4]] == [
        "case        model  ort cpu  ort cpu fast  ort cuda",
        "a                  .        M             .",
        "a bfloat16         .",
    ]


def test_two_files_with_a_case_of_one_name() -> None:
    found = [(Cell(f"{folder}/a.py", "a", "onnx", "ort"), Outcome(Verdict.PASS)) for folder in ("x", "y")]
    lines = printed(found).splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["x/a.py::a", "y/a.py::a"]


def test_nothing_ran() -> None:
    assert printed([]) == "0 cells: \n"


def test_the_legend_names_every_verdict() -> None:
    for colour in (False, True):
        text = terminal.legend(colour)
        for verdict, style in STYLES.items():
            assert f"{style.symbol if colour else style.letter} {verdict.value}" in text


def test_what_is_imprecise_has_a_sign_and_says_why() -> None:
    close = Outcome(Verdict.IMPRECISE, Stage.COMPARE, "output loses 12.1 bits\nand more", bits=21.3)
    one, other = cell("vit", "onnx", "ort"), cell("vit", "onnx", "mnn")
    lines = printed([(one, close), (other, replace(close, strict=True))]).splitlines()
    assert "vit          ~ 21  ~ 21" in lines
    assert "2 cells: ~ 2 imprecise" in lines
    # One is no failure, the other is.
    assert "vit[onnx-ort-cpu]: imprecise: output loses 12.1 bits" in lines
    assert "vit[onnx-mnn-cpu]: imprecise: output loses 12.1 bits" not in lines
    assert "vit.py::vit[onnx-mnn-cpu]: imprecise at stage compare" in lines
    assert "vit.py::vit[onnx-ort-cpu]: imprecise at stage compare" not in lines
    assert "≈ 21" in printed([(one, close)], colour=True)


def test_what_model_checks_have_to_say() -> None:
    noted = [
        (
            check("resnet18"),
            Outcome(Verdict.PASS, notes=("cannot see 2 of its 9 tensors: fc.bias and\nmore", "x" * 200)),
        ),
        (check("vit"), Outcome(Verdict.ERROR, Stage.REFERENCE, "zero everywhere", notes=("not here",))),
    ]
    lines = printed(noted, width=60).splitlines()
    assert "resnet18: cannot see 2 of its 9 tensors: fc.bias and" in lines
    assert "resnet18: " + "x" * 49 + "…" in lines
    assert not any("vit: not here" in line for line in lines)
