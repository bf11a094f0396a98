"""Near misses that are judged once more, by more of eager's noise."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from pytest_modelconform.cells.answers import SetResult
from pytest_modelconform.cells.input_sets import InputSets, Ran, SetsRun
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.second_look import NEAR, RUNS, Closer, SecondLook, is_near
from pytest_modelconform.cells.stages import Artifact, StageFailure
from pytest_modelconform.compare import make_reference
from pytest_modelconform.references.content import MoreNoise
from pytest_modelconform.references.prepared import InputSet
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.terms.cell import CaseRef, Cell
from pytest_modelconform.terms.outcome import Stage, Verdict
from pytest_modelconform.terms.runs import NO_TIME, key, noisy, runs_file
from pytest_modelconform.terms.signature import Signature
from pytest_modelconform.workers import arrays
from tests.support.synthetic import Array, numbers, reference

REF = CaseRef(Path("a.py"), "a.py", "a")
CELL = Cell("a.py", "a", "onnx", "ort")
TREE = {"tensor": "/0"}
R = numbers(64, 70)
LIMITS = Tolerance(bits_lost=1.5, worst=4.0)


def drawn(size: float, seed: int) -> Array:
    """A faithful run in which row 5 is off by so much in one direction."""
    moved = R * (1 + 1e-7 * numbers(64, 70, seed=seed))
    moved[5] += size * numbers(70, seed=99)
    return moved.astype(np.float32)


def entry(name: str = "first") -> InputSet:
    made = make_reference(R, drawn(1e-6, 0), [drawn(1e-6, seed) for seed in (1, 2, 3)], "float32")
    return InputSet(name, Path("inputs"), [], [], TREE, {}, frozenset(), {"": made})


class Host:
    """The case host, which draws larger errors of row 5, as many runs as it is told to have time for; or fails."""

    def __init__(self, runs: int = RUNS, error: Exception | None = None) -> None:
        self.runs, self.error = runs, error
        self.asked: list[tuple[str, float]] = []

    def more_noise(self, ref: CaseRef, prepared: Any, name: str, folder: Path, runs: int, seconds: float) -> MoreNoise:
        self.asked.append((name, seconds))
        if self.error is not None:
            raise self.error
        assert runs == RUNS
        found = {key(noisy(k), "/0"): drawn(2e-5 / k, 10 + k) for k in range(1, self.runs + 1)}
        arrays.write(folder / runs_file(name), found)
        return MoreNoise(runs=self.runs)


def look(folder: Path, host: Host, left: float = 100.0, name: str = "first") -> Closer | str:
    prepared: Any = SimpleNamespace(key="key", digest="digest")
    return SecondLook(cast(Any, host), folder).of(REF, prepared, entry(name), cast(Any, SimpleNamespace(left=left)))


class Unasked:
    """Has no noise, and nobody is to ask for any."""


def judged(
    y: Array,
    closer: Closer | str | Unasked | None,
    tolerance: Tolerance = LIMITS,
    changed: frozenset[str] = frozenset(),
) -> SetsRun:
    """What a runtime that returns `y` comes to."""
    registry = Registry()
    register_built_in(registry)
    sets = {"first": entry()}
    content = SimpleNamespace(exporter_set="first", notes=[], framework="torch")
    judge: Any = SimpleNamespace(content=content, sets=sets, tolerance=tolerance, tolerances={}, exported_shapes={})
    judge.with_sets = lambda others: SimpleNamespace(sets=others)
    artifact = Artifact(Path(), Signature(file="", layout="tree"), 0.0, 0, cached=False, fresh=True)
    nothing: Any = None
    worker: Any = SimpleNamespace(alive=True)

    class Ready(InputSets):
        def run(self, entry: InputSet, repeats: int = 0) -> Ran | SetResult:
            return Ran([(TREE, {"/0": y})], changed, 1.0)

    def more(entry: InputSet) -> Any:
        assert not isinstance(closer, Unasked), "asked"
        return closer

    return Ready(
        registry, nothing, CELL, judge, artifact, worker, nothing, Path(), closer=None if closer is None else more
    ).outcome()


def test_a_near_miss_passes_by_more_noise_and_says_so(tmp_path: Path) -> None:
    y = drawn(2e-5, 9)
    assert judged(y, None).outcome.verdict is Verdict.IMPRECISE
    closer = look(tmp_path, Host())
    assert isinstance(closer, Closer)
    ran = judged(y, closer)
    assert (ran.outcome.verdict, ran.outcome.message, ran.mismatches) == (Verdict.PASS, "", {})
    assert ran.judge.sets["first"] is closer.entry
    assert ran.outcome.loss is not None
    assert ran.outcome.loss < 1.5
    [note] = ran.outcome.notes
    assert note.startswith("input set 'first' was judged by 11 draws of eager's noise: by the first 3 it would be imp")
    assert note.endswith(" bits lost")


def test_what_more_noise_does_not_explain_stays_as_it_was(tmp_path: Path) -> None:
    y = drawn(1e-6, 9)
    y[7] += np.float32(2e-5)
    closer = look(tmp_path, Host())
    before, after = judged(y, None), judged(y, closer)
    assert before.outcome.verdict in (Verdict.IMPRECISE, Verdict.MISMATCH)
    assert after.outcome == before.outcome
    assert after.judge.sets["first"] is not cast(Closer, closer).entry


def test_more_noise_excuses_no_runtime_that_writes_to_its_inputs(tmp_path: Path) -> None:
    outcome = judged(drawn(2e-5, 9), look(tmp_path, Host()), changed=frozenset(["x"])).outcome
    assert outcome.verdict is Verdict.MISMATCH
    assert "changes its input x in place" in outcome.message


def test_nobody_asks_for_noise_where_all_is_right_or_far_off() -> None:
    assert judged(drawn(1e-6, 9), Unasked()).outcome.verdict is Verdict.PASS
    assert judged(drawn(1.0, 9), Unasked()).outcome.verdict is Verdict.MISMATCH
    with pytest.raises(AssertionError, match="asked"):
        judged(drawn(2e-5, 9), Unasked())


def test_it_is_said_where_there_was_no_noise_to_be_had() -> None:
    outcome = judged(drawn(2e-5, 9), NO_TIME).outcome
    assert outcome.verdict is Verdict.IMPRECISE
    assert outcome.notes == (f"input set 'first' misses by little, and no more of eager's noise was drawn: {NO_TIME}",)


def near(result: SetResult | None = None, tolerance: Tolerance = LIMITS, made: Any = None, **about: Any) -> bool:
    outputs = {"output": {"wrong": "mismatch", "loss": 2.0, "worst": 3.0, **about}, "output[1]": {"loss": 0.0}}
    found = result or SetResult(Verdict.MISMATCH, Stage.COMPARE, "wrong", {"loss": 2.0}, outputs)
    return is_near(found, {"": made or reference(R)}, tolerance)


def test_what_is_near() -> None:
    assert near()
    assert near(loss=1.5 + NEAR, worst=4 + NEAR)
    assert not near(loss=1.6 + NEAR)
    assert not near(worst=4.1 + NEAR)
    assert not near(loss=None)
    # A rule of the case's own has nothing to do with noise, nor have integers; a fast mode's noise is another one.
    assert not near(tolerance=Tolerance(rtol=1e-3))
    assert not near(tolerance=Tolerance(bits=9.0))
    assert not near(made=reference(np.arange(5)))
    assert not near(made=dataclasses.replace(reference(R), reduced=True))
    # Where there are no numbers, a shape is wrong, or a NaN.
    assert not near(SetResult(Verdict.MISMATCH, Stage.COMPARE, "wrong", {}, {"output": {"wrong": "mismatch"}}))
    assert not near(SetResult(Verdict.PASS, numbers={"loss": 2.0}))


def test_the_host_is_asked_once_for_each_set(tmp_path: Path) -> None:
    host = Host(runs=2)
    looks = SecondLook(cast(Any, host), tmp_path)
    prepared: Any = SimpleNamespace(key="key", digest="digest")
    budget: Any = SimpleNamespace(left=50.0)
    one = looks.of(REF, prepared, entry(), budget)
    assert isinstance(one, Closer)
    assert one.runs == 2
    assert looks.of(REF, prepared, entry(), budget) is one
    looks.of(REF, prepared, entry("second"), budget)
    assert host.asked == [("first", 25.0), ("second", 25.0)]
    assert not list(tmp_path.iterdir())
    looks.off = True
    assert looks.of(REF, prepared, entry("third"), budget) == "no second look is taken here"
    assert len(host.asked) == 2


@pytest.mark.parametrize(
    ("host", "left", "why", "asked"),
    [
        (Host(), 1.0, NO_TIME, 0),
        (Host(runs=0), 100.0, NO_TIME, 1),
        (Host(error=StageFailure(Stage.COMPARE, Verdict.CRASH, "died")), 100.0, "StageFailure: died", 1),
    ],
)
def test_why_there_is_no_more_noise(host: Host, left: float, why: str, asked: int, tmp_path: Path) -> None:
    assert look(tmp_path, host, left) == why
    assert len(host.asked) == asked
