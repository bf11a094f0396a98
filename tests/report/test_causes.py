"""The failures of a log by root cause."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_modelconform.report import causes
from pytest_modelconform.report.causes import CASES, EXPORTERS, RUNTIMES, faults
from pytest_modelconform.report.log import Log
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import NOT_FIT, Outcome, Stage, Verdict

PASS = Outcome(Verdict.PASS, bits=22)
WRONG = Outcome(Verdict.MISMATCH, Stage.COMPARE, "output is 1", expected=True, bits=3, notes=("expected: known <b>",))
REFUSED = Outcome(Verdict.ERROR, Stage.EXPORT, "no operator", expected=True)
CAUSE = {"id": "onnxscript-mean", "reason": "takes the last", "operator": "aten.mean", "link": "https://x/1"}


def cell(runtime: str, case: str = "net", format_name: str = "onnx", dtype: str = "float32") -> Cell:
    return Cell(f"{case}.py", case, format_name, runtime, dtype=dtype)


def log(*cells: tuple[Cell, Outcome]) -> Log:
    return Log({}, list(cells), True)


def test_cells_with_one_cause_are_one_fault_whatever_they_say() -> None:
    one, other = replace(REFUSED, cause=CAUSE, message="no a"), replace(WRONG, cause=CAUSE)
    found = faults(log((cell("ort"), one), (cell("ort", "b"), other), (cell("ort", "c"), REFUSED)))
    assert [(fault.id, len(fault.cells), fault.papers) for fault in found] == [("onnxscript-mean", 2, 2), ("", 1, 1)]
    assert found[0].project == "onnxscript"


def test_a_file_that_another_library_runs_rightly_is_no_fault_of_the_exporter() -> None:
    (fault,) = faults(log((cell("ort"), PASS), (cell("openvino"), WRONG)))
    assert (fault.party, fault.project) == (RUNTIMES, "openvino")


def test_another_way_into_the_same_library_tells_nothing() -> None:
    (fault,) = faults(log((cell("ort-cpp"), PASS), (cell("ort"), WRONG)))
    assert (fault.party, fault.project) == (EXPORTERS, "onnx")


def test_what_all_get_wrong_is_the_exporters() -> None:
    (fault,) = faults(log((cell("ort"), WRONG), (cell("openvino"), WRONG)))
    assert (fault.party, fault.project) == (EXPORTERS, "onnx")


def test_what_cannot_be_loaded_is_the_runtimes() -> None:
    (fault,) = faults(log((cell("tract"), replace(REFUSED, stage=Stage.LOAD))))
    assert (fault.party, fault.project) == (RUNTIMES, "tract")


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [
        ("no op at 0x7f12", "no op at 0x8a00", 1),
        ("input set 'a': is -1.5e-07, not 3", "input set 'b': is 12, not 4.25", 1),
        ("no 'aten::rfft'", "no 'aten::rfft2'", 2),
        ("no 'aten::a'", "no 'aten::b'", 2),
    ],
)
def test_messages_that_differ_in_what_is_particular_are_one_fault(one: str, other: str, count: int) -> None:
    found = faults(log(*((cell("ort", case), replace(REFUSED, message=m)) for case, m in (("a", one), ("b", other)))))
    assert len(found) == count


def test_a_first_line_that_says_nothing_is_not_all_of_a_reason() -> None:
    (fault,) = faults(log((cell("ort"), replace(REFUSED, message="RuntimeError:\n\n  no aten::a.\nmore"))))
    assert fault.reason == "RuntimeError: no aten::a"


def test_what_exporters_say_of_any_failure_is_no_reason() -> None:
    lines = [
        "ConversionError: Failed. Next steps:",
        "caused by ConversionError: at %a",
        "caused by DispatchError: no a",
    ]
    (fault,) = faults(log((cell("ort"), replace(REFUSED, message="\n".join([*lines, "- If there is"])))))
    assert fault.reason == "DispatchError: no a"
    (fault,) = faults(log((cell("ort"), replace(REFUSED, message=lines[0]))))
    assert fault.reason == lines[0]


def test_what_fails_before_it_is_exported_is_the_cases() -> None:
    found = faults(log((cell("ort"), replace(REFUSED, stage=Stage.BUILD)), (cell("tract", "b"), REFUSED)))
    assert [(fault.party, fault.project) for fault in found] == [(EXPORTERS, "onnx"), (CASES, "net.py")]


def test_passes_and_what_only_follows_from_a_model_check_are_no_faults() -> None:
    blocked = Outcome(Verdict.ERROR, Stage.REFERENCE, f"{NOT_FIT}: see the check")
    check = (Cell("a.py", "a", "eager", "eager"), Outcome(Verdict.ERROR, Stage.REFERENCE, "constant"))
    found = faults(log((cell("ort"), PASS), (cell("ort", "a"), blocked), check))
    assert [fault.reason for fault in found] == ["constant"]


def test_the_smallest_artifact_is_the_one_to_look_at() -> None:
    cells = [(cell("ort", case), replace(WRONG, artifact_bytes=size)) for case, size in (("aaa", 9), ("b", 7))]
    assert faults(log(*cells))[0].smallest == cell("ort", "b")


def test_the_page() -> None:
    page = causes.render(
        log(
            (cell("ort"), replace(WRONG, cause=CAUSE)),
            (cell("openvino"), replace(WRONG, cause=CAUSE)),
            (cell("tract"), PASS),
            (cell("tract", "b"), replace(REFUSED, stage=Stage.LOAD)),
        )
    )
    assert page.splitlines() == [
        "3 cells of 4 fail, for 2 reasons, 1 of which have an id.",
        "",
        "## Runtimes",
        "",
        "### onnxscript",
        "",
        "- `onnxscript-mean`: takes the last (https://x/1). `aten.mean`.  ",
        "  2 mismatch at stage compare; 1 paper: `onnx` in `ort`, `openvino`: net.  ",
        "  Smallest: `net.py::net[onnx-ort-cpu]`",
        "",
        "### tract",
        "",
        "- no operator.  ",
        "  1 error at stage load; 1 paper: `onnx` in `tract`: b.  ",
        "  Smallest: `b.py::b[onnx-tract-cpu]`",
    ]


def test_what_logs_say_is_escaped_and_only_links_are_links() -> None:
    text = causes.render(log((cell("ort"), WRONG), (cell("ort", "b"), replace(WRONG, cause=CAUSE | {"link": "x y"}))))
    assert "known &lt;b&gt;" in text
    assert "x y" not in text
