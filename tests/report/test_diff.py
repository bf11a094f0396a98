from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_modelconform.report.diff import Diff, compare
from pytest_modelconform.report.log import Log
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

A = Cell("a.py", "a", "onnx", "ort")
PASS = Outcome(Verdict.PASS, bits=20.0)
ERROR = Outcome(Verdict.ERROR, Stage.EXPORT, "no kernel")
CLOSE = Outcome(Verdict.IMPRECISE, Stage.COMPARE, "loses some", bits=19.9)
LIMIT = Outcome(Verdict.UNSUPPORTED, Stage.LOAD)
ABSENT = Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT)
MACHINE: dict[str, Any] = {"processor": "one", "cores": 2, "processes": 1, "threads": 2}
KINDS = ("regressions", "fixes", "other", "new", "gone", "numbers")


def diff(old: Outcome | None, new: Outcome | None, about: dict[str, Any] | None = None) -> Diff:
    before = Log(MACHINE, [(A, old)] if old else [], True)
    return compare(before, Log(MACHINE if about is None else about, [(A, new)] if new else [], True))


def kinds(found: Diff) -> dict[str, str]:
    return {kind: change.what for kind in KINDS for change in getattr(found, kind)}


@pytest.mark.parametrize(
    ("old", "new", "kind", "what"),
    [
        (PASS, ERROR, "regressions", "pass → error at stage export"),
        (PASS, replace(ERROR, expected=True), "regressions", "pass → error at stage export (expected)"),
        (PASS, LIMIT, "regressions", "pass → unsupported at stage load"),
        (PASS, CLOSE, "regressions", "pass → imprecise at stage compare"),
        (CLOSE, LIMIT, "regressions", "imprecise at stage compare → unsupported at stage load"),
        (CLOSE, ERROR, "regressions", "imprecise at stage compare → error at stage export"),
        (CLOSE, PASS, "fixes", "imprecise at stage compare → pass"),
        (ERROR, CLOSE, "fixes", "error at stage export → imprecise at stage compare"),
        (LIMIT, ERROR, "regressions", "unsupported at stage load → error at stage export"),
        (ERROR, PASS, "fixes", "error at stage export → pass"),
        (LIMIT, PASS, "fixes", "unsupported at stage load → pass"),
        (ERROR, LIMIT, "other", "error at stage export → unsupported at stage load"),
        (ERROR, replace(ERROR, stage=Stage.RUN), "other", "error at stage export → error at stage run"),
        (None, ERROR, "new", "error at stage export"),
        (ABSENT, PASS, "new", "unavailable at stage environment → pass"),
        (PASS, None, "gone", "pass"),
        (PASS, Outcome(Verdict.NOT_RUN), "gone", "pass → not-run"),
    ],
)
def test_verdicts(old: Outcome | None, new: Outcome | None, kind: str, what: str) -> None:
    found = diff(old, new)
    assert kinds(found) == {kind: what}
    assert found.same == 0


@pytest.mark.parametrize("outcome", [PASS, CLOSE, ERROR, LIMIT, ABSENT, Outcome(Verdict.NOT_RUN)])
def test_what_is_as_before(outcome: Outcome) -> None:
    found = diff(outcome, replace(outcome, message="other words"))
    assert (kinds(found), found.same) == ({}, 1)


@pytest.mark.parametrize(
    ("old", "new", "what", "worse"),
    [
        (20.0, 19.0, "bits 20.0 → 19.0 (-1.0)", True),
        (20.0, 19.01, "", False),
        (19.0, 20.0, "bits 19.0 → 20.0 (+1.0)", False),
        (None, 20.0, "", False),
    ],
)
def test_bits(old: float | None, new: float, what: str, worse: bool) -> None:
    found = diff(replace(PASS, bits=old), replace(PASS, bits=new)).numbers
    assert [(change.what, change.worse) for change in found] == ([(what, worse)] if what else [])


@pytest.mark.parametrize(
    ("old", "new", "what", "worse"),
    [
        (1_000_000, 1_050_000, "size 1 MB → 1.05 MB (+5%)", True),
        (1_000_000, 1_049_000, "", False),
        (2_000_000_000, 1_000, "size 2 GB → 1 kB (-100%)", False),
        (100, 50, "size 100 bytes → 50 bytes (-50%)", False),
        (0, 50, "", False),
    ],
)
def test_sizes(old: int, new: int, what: str, worse: bool) -> None:
    found = diff(replace(PASS, artifact_bytes=old), replace(PASS, artifact_bytes=new)).numbers
    assert [(change.what, change.worse) for change in found] == ([(what, worse)] if what else [])


def timed(*seconds: float) -> Outcome:
    return replace(PASS, inputs={str(i): {"verdict": "pass", "seconds": s} for i, s in enumerate(seconds)})


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ((0.01, 0.01, 0.01), (0.04, 0.05, 0.06), "slower: 30 ms → 150 ms for 3 input sets"),
        ((0.04, 0.04, 0.04), (0.01, 0.01, 0.01), "faster: 120 ms → 30 ms for 3 input sets"),
        # One set is as fast as it was; sets are too few; all of it is too short.
        ((0.01, 0.01, 0.01), (0.02, 9.0, 9.0), ""),
        ((0.01, 0.01), (9.0, 9.0), ""),
        ((1e-4, 1e-4, 1e-4), (1e-3, 1e-3, 1e-3), ""),
        ((0.0, 0.01, 0.01), (9.0, 9.0, 9.0), ""),
    ],
)
def test_latency(old: tuple[float, ...], new: tuple[float, ...], what: str) -> None:
    found = diff(timed(*old), timed(*new))
    assert [(change.what, change.worse) for change in found.numbers] == ([(what, False)] if what else [])
    for about in ({}, {**MACHINE, "cores": 64}):
        assert not diff(timed(*old), timed(*new), about).numbers


def test_an_input_set_that_is_refused_now() -> None:
    sets = [replace(PASS, inputs={"a": {"verdict": "pass"}, "b": {"verdict": v}}) for v in ("pass", "unsupported")]
    [change] = diff(sets[0], sets[1]).numbers
    assert (change.what, change.worse) == ("refuses the input set 'b' now", True)
    assert not diff(sets[1], sets[0]).numbers


def test_a_rerun_counts_as_it_ended() -> None:
    found = compare(Log({}, [(A, ERROR), (A, PASS)], True), Log({}, [(A, PASS)], True))
    assert (kinds(found), found.same) == ({}, 1)


def test_versions_and_what_is_cut_off() -> None:
    old = {
        "python": "3.11.7",
        "packages": {"torch": "2.14.1", "mnn": "3", "onnx": None},
        "environments": {"c": ["a==1"]},
    }
    new = {
        "python": "3.11.7",
        "packages": {"torch": "2.15.0", "tvm": "1", "onnx": "1"},
        "environments": {"c": ["a==2"]},
    }
    found = compare(Log(old, [], True), Log(new, [], False))
    assert found.versions == [("environment c", "a==1", "a==2"), ("onnx", "none", "1"), ("torch", "2.14.1", "2.15.0")]
    assert found.incomplete == ["the new log is cut off"]
