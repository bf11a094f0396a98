"""Failures: each cause once, with what to do next."""

from __future__ import annotations

import re
from dataclasses import replace

from pytest_modelconform.report import matrix, terminal
from pytest_modelconform.terms.blame import Blame
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import NOT_FIT, Outcome, Stage, Verdict
from tests.support import blames
from tests.support.printing import printed, writer

RUNTIMES = ("ort", "ort-cpp", "openvino")


def cell(case: str, format_name: str, runtime: str, **more: str) -> Cell:
    return Cell(f"{case}.py", case, format_name, runtime, **more)


def failures(found: list[tuple[Cell, Outcome]], width: int = 80) -> list[str]:
    """The lines from the first failure on."""
    lines = printed(found, width=width).splitlines()
    return lines[next(i for i, line in enumerate(lines) if "::" in line) :]


def test_a_failure_names_the_next_commands() -> None:
    wrong = Outcome(Verdict.MISMATCH, Stage.COMPARE, "input set 'a': output loses 9 bits", bits=11.7)
    assert failures([(cell("vit", "onnx", "ort"), wrong)]) == [
        "vit.py::vit[onnx-ort-cpu]: mismatch at stage compare",
        "  input set 'a': output loses 9 bits",
        "  rerun: pytest --modelconform 'vit.py::vit[onnx-ort-cpu]'",
        "  to report it: modelconform repro 'vit.py::vit[onnx-ort-cpu]' -o repro",
    ]


def test_a_failure_names_the_guilty_operator_and_the_command_that_writes_it() -> None:
    wrong = Outcome(Verdict.MISMATCH, Stage.COMPARE, "output loses 9 bits", bits=11.7, blame=blames.FOUND.to_json())
    assert failures([(cell("vit", "onnx", "ort"), wrong)]) == [
        "vit.py::vit[onnx-ort-cpu]: mismatch at stage compare",
        "  output loses 9 bits",
        "  guilty: aten.avg_pool2d in features.pool (net.py:12: self.pool(x)), in the",
        "    runtime; 3.1 of 22.0 bits right there",
        "  ort-cpp runs the same file.",
        "  It was exported anew.",
        "  rerun: pytest --modelconform 'vit.py::vit[onnx-ort-cpu]'",
        "  to report it: modelconform blame 'vit.py::vit[onnx-ort-cpu]' -o blame",
    ]
    # Where nothing was found, there is the cell itself to report.
    nothing = replace(wrong, blame=Blame(note="time ended after 3 parts").to_json())
    assert failures([(cell("vit", "onnx", "ort"), nothing)])[2:] == [
        "  guilty operator not found: time ended after 3 parts",
        "  rerun: pytest --modelconform 'vit.py::vit[onnx-ort-cpu]'",
        "  to report it: modelconform repro 'vit.py::vit[onnx-ort-cpu]' -o repro",
    ]


def test_commands_name_the_log_that_was_named() -> None:
    wrong = Outcome(Verdict.MISMATCH, Stage.COMPARE, "output loses 9 bits")
    file, made = writer()
    folded = matrix.fold([(cell("vit", "onnx", "ort"), wrong)])
    # The cell is named as the first command names it: as it is found from the current folder.
    terminal.write(folded, made, lambda cell: f"pytest -x '../my cases/{cell.id}'", log="logs/my run.jsonl")
    assert file.getvalue().splitlines()[-2:] == [
        "  rerun: pytest -x '../my cases/vit.py::vit[onnx-ort-cpu]'",
        "  to report it: modelconform repro '../my cases/vit.py::vit[onnx-ort-cpu]' -o repro --log 'logs/my run.jsonl'",
    ]


def test_what_only_follows_from_the_model_check_is_one_line() -> None:
    found = [(cell("zero", "eager", "eager"), Outcome(Verdict.ERROR, Stage.REFERENCE, "output is 0 everywhere"))]
    blocked = Outcome(Verdict.ERROR, Stage.REFERENCE, f"{NOT_FIT}, see zero[eager]: output is 0 everywhere")
    found += [(cell("zero", "onnx", runtime), blocked) for runtime in RUNTIMES]
    # The case itself is at fault: nothing to report to anybody.
    assert failures(found) == [
        "zero.py::zero[eager]: error at stage reference",
        "  output is 0 everywhere",
        "  3 other cells fail only because of this",
        "  rerun: pytest --modelconform 'zero.py::zero[eager]'",
    ]
    assert "  1 other cell fails only because of this" in failures(found[:2])
    # Where the check was not selected, one of them says it.
    alone = failures(found[1:])
    assert alone[0] == "zero.py::zero[onnx-ort-cpu]: error at stage reference"
    assert "  also in: [onnx-ort_cpp-cpu], [onnx-openvino-cpu]" in alone
    assert not any("modelconform repro" in line for line in alone)


def test_one_message_of_several_cells_is_one_entry() -> None:
    refused = Outcome(Verdict.ERROR, Stage.EXPORT, "no operator aten::foo")
    found = [(cell("net", "onnx", runtime), refused) for runtime in RUNTIMES]
    found += [(cell("net", "onnx", "ort", dtype="float16"), refused), (cell("other", "onnx", "ort"), refused)]
    text = "\n".join(failures(found))
    assert text.count("no operator aten::foo") == 2  # a case each
    assert text.count("rerun:") == 2
    assert "  also in: [onnx-ort_cpp-cpu], [onnx-openvino-cpu], [onnx-ort-cpu-float16]\n" in text


def test_a_runtime_that_does_not_start_is_one_entry_of_all_cases() -> None:
    broken = Outcome(Verdict.ERROR, Stage.ENVIRONMENT, "runtime x: it can't be started")
    text = "\n".join(failures([(cell(case, "onnx", "x"), broken) for case in ("a", "b", "c")]))
    assert text.count("it can't be started") == 1
    assert "  also in: b[onnx-x-cpu], c[onnx-x-cpu]" in text


def test_an_unexpected_pass_is_called_that() -> None:
    found = [(cell("a", "onnx", "ort"), Outcome(Verdict.PASS, message="expected.toml, entry 1 …", expected=False))]
    assert failures(found) == [
        "a.py::a[onnx-ort-cpu]: UNEXPECTED PASS",
        "  expected.toml, entry 1 …",
        "  rerun: pytest --modelconform 'a.py::a[onnx-ort-cpu]'",
    ]


def test_long_messages_are_cut_and_nothing_is_raw() -> None:
    message = "\n".join(f"\x1b[31mline {i}\x1b]0;title\x07\x08" for i in range(40))
    crash = Outcome(Verdict.CRASH, Stage.RUN, message, notes=("\x1b[2Jnote",))
    text = printed([(cell("a", "onnx", "ort"), crash)])
    assert "line 0" in text
    assert "line 39" not in text
    assert "… 35 more lines above and in the log" in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)


def test_lines_of_messages_are_wrapped() -> None:
    words = " ".join(f"word{i}" for i in range(60))
    lines = failures([(cell("a", "onnx", "ort"), Outcome(Verdict.CRASH, Stage.RUN, words))], width=60)[1:-2]
    assert max(map(len, lines)) <= 60
    assert " ".join(" ".join(lines).split()) == words


def test_of_notes_the_first_line_is_shown() -> None:
    wrong = Outcome(
        Verdict.MISMATCH, Stage.COMPARE, "wrong values", notes=("set 'b' was refused: why\nRuntimeError: …",)
    )
    assert failures([(cell("a", "onnx", "ort"), wrong)])[1:3] == ["  wrong values", "  set 'b' was refused: why"]


def test_hints_are_never_cut() -> None:
    hints = ("output has the model's values times 2", "computed with bfloat16 weights")
    message = "\n".join([*(f"line {i}" for i in range(40)), *(f"likely cause: {hint}" for hint in hints)])
    lines = failures([(cell("a", "onnx", "ort"), Outcome(Verdict.MISMATCH, Stage.COMPARE, message, hints=hints))])
    assert "  … 34 more lines above and in the log" in lines
    assert [line for line in lines if "likely" in line] == [f"  likely cause: {hint}" for hint in hints]


def test_a_log_that_is_cut_off_is_said_to_be() -> None:
    found = [(cell("a", "onnx", "ort"), Outcome(Verdict.PASS))]
    assert "The log is cut off: not all cells are in it." in printed(found, complete=False)
    assert "cut off" not in printed(found)
