from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from junitparser import JUnitXml

from pytest_modelconform.report import junit
from pytest_modelconform.report.log import Log
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import REQUIRED, Outcome, Stage, Verdict
from tests.support import nasty

ABOUT = {"python": "3.11.7", "packages": {"torch": "2.14.1", "absent": None}, "date": "2026-11-23T06:00:00+00:00"}
ORT = Cell("a/a.py", "a", "onnx", "ort")
CELLS = [
    (Cell("a/a.py", "a", "eager", "eager"), Outcome(Verdict.PASS, bits=21.456, seconds={"run": 1.5})),
    (ORT, Outcome(Verdict.MISMATCH, Stage.COMPARE, "output is wrong\nby 1", bits=3.0)),
    (Cell("a/a.py", "a", "onnx", "ort-cpp"), Outcome(Verdict.UNSUPPORTED, Stage.LOAD, "a limit")),
    (
        Cell("b.py", "b", "onnx", "ort", dtype="float16"),
        Outcome(Verdict.ERROR, Stage.EXPORT, "no", expected=True, notes=("expected: known",)),
    ),
    (Cell("b.py", "b", "onnx", "ort"), Outcome(Verdict.PASS, expected=False, message="passes")),
    (Cell("b.py", "b", "mnn", "mnn"), Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT, f"needs mnn {REQUIRED}")),
]


def suites(log: Log) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(junit.render(log)))


def kinds(suite: ElementTree.Element) -> dict[str | None, list[str]]:
    return {case.get("name"): [c.tag for c in case if c.tag != "properties"] for case in suite.iter("testcase")}


def properties(element: ElementTree.Element | None) -> dict[str | None, str | None]:
    assert element is not None
    return {p.get("name"): p.get("value") for p in element.findall("properties/property")}


@pytest.mark.parametrize("cells", [CELLS, CELLS[:1], []])
@pytest.mark.parametrize("complete", [True, False])
def test_it_is_what_the_library_writes_of_all_suites_at_once(cells: list[tuple[Cell, Outcome]], complete: bool) -> None:
    log = Log(ABOUT, cells, complete)
    whole = JUnitXml("pytest-modelconform")
    for suite in junit._suites(log):
        whole.add_testsuite(suite)
    whole.update_statistics()
    assert junit.render(log) == whole.tostring().decode() + "\n"


def test_results_are_those_of_the_live_run() -> None:
    one, two = suites(Log(ABOUT, CELLS, True))
    assert (one.get("name"), two.get("name")) == ("a/a.py", "b.py")
    assert (one.get("tests"), one.get("failures"), one.get("skipped"), one.get("time")) == ("3", "1", "1", "1.5")
    assert kinds(one) == {"a[eager]": [], "a[onnx-ort-cpu]": ["failure"], "a[onnx-ort_cpp-cpu]": ["skipped"]}
    # Expected ones don't fail, unexpected passes and required ones that are not there do.
    assert kinds(two) == {
        "b[onnx-ort-cpu-float16]": ["skipped"],
        "b[onnx-ort-cpu]": ["failure"],
        "b[mnn-mnn-cpu]": ["failure"],
    }
    failure = one.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "mismatch at stage compare: output is wrong"
    assert failure.text == "output is wrong\nby 1"
    skipped = two.find("testcase/skipped")
    assert skipped is not None
    assert (skipped.get("type"), skipped.text) == ("pytest.xfail", "no\nexpected: known")


def test_what_is_imprecise_is_a_failure_only_where_that_is_strict() -> None:
    close = Outcome(Verdict.IMPRECISE, Stage.COMPARE, "loses some")
    cells = {Cell("a.py", "a", "onnx", "ort"): close, Cell("a.py", "a", "onnx", "mnn"): replace(close, strict=True)}
    [suite] = suites(Log(ABOUT, list(cells.items()), True))
    assert kinds(suite) == {"a[onnx-ort-cpu]": [], "a[onnx-mnn-cpu]": ["failure"]}
    assert properties(suite.find("testcase"))["verdict"] == "imprecise"


def test_properties() -> None:
    one, two = suites(Log(ABOUT, CELLS, True))
    assert properties(one)["package torch"] == "2.14.1"
    assert "package absent" not in properties(one)
    assert one.get("timestamp") == ABOUT["date"]
    cases = {case.get("name"): case for case in one.iter("testcase")}
    assert cases["a[eager]"].get("classname") == "a.a"
    assert properties(cases["a[onnx-ort-cpu]"]) == {
        "format": "onnx", "runtime": "ort", "device": "cpu", "dtype": "float32", "precision": "full",
        "task": "inference", "verdict": "mismatch", "stage": "compare", "bits": "3.00",
    }  # fmt: skip
    assert properties(two.find("testcase"))["expected"] == "true"


def test_a_log_that_is_cut_off_is_not_green() -> None:
    [_, log] = suites(Log(ABOUT, CELLS[:1], False))
    assert (log.get("name"), log.get("errors")) == ("log", "1")
    error = log.find("testcase/error")
    assert error is not None
    assert error.get("message") == "the log is cut off"
    [_, log] = suites(Log({**ABOUT, "missing": ["shard 2 of 3"]}, CELLS[:1], False))
    error = log.find("testcase/error")
    assert error is not None
    assert error.get("message") == "missing: shard 2 of 3"


def test_whatever_names_and_texts_hold(tmp_path: Path) -> None:
    for log in (nasty.log(), nasty.reread(tmp_path)):
        found = suites(log)
        names = {case.get("name") for suite in found for case in suite.iter("testcase")}
        assert sum(len(suite.findall("testcase")) for suite in found) == len(dict(log.cells))
        assert "<script>alert(1)</script>" in str(names)
        assert {element.tag for suite in found for element in suite.iter()} <= {
            "testsuite", "testcase", "properties", "property", "failure", "skipped",
        }  # fmt: skip
