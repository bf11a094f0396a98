"""What of the numbers of threads is tried, and how far results are apart. Whole cells: test_isolation.py."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_modelconform.cells.concurrency import MOST_BYTES, AtOnce, Plan, Trials, chosen_sets, distance, plan
from pytest_modelconform.cells.protocol import ConcurrentAnswer, Deviation, ErrorAnswer, Trial
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.stages import Budget
from pytest_modelconform.cells.worker import WorkerRefused
from pytest_modelconform.references.prepared import InputSet
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Verdict
from pytest_modelconform.terms.signature import Signature
from tests.support.synthetic import faithful, numbers, reference

ALL = (1, 2, 8)


@pytest.mark.parametrize(
    ("run", "load", "size", "threads", "clones", "repeats", "left_out"),
    [
        (0.001, 0.01, 1000, ALL, ALL, 3, ""),
        # Eight loads don't fit into a quarter of a second; two do.
        (0.001, 0.06, 1000, ALL, (1, 2), 3, "not tried with 8 on clones: a pass takes 0.001 s, loading 0.06 s"),
        # What was cloned for two is there for eight.
        (0.001, 0.025, 1000, ALL, ALL, 3, ""),
        (0.0125, 0.0, 1000, ALL, (1, 2), 3, "not tried with 8 on clones: a pass takes 0.013 s, loading 0 s"),
        (
            0.0375,
            0.0,
            1000,
            (1, 2),
            (1,),
            3,
            "not tried with 2 on clones, 8 on one instance, 8 on clones: a pass takes",
        ),
        # Serial runs alone would take more than half of the time: one has to do.
        (0.05, 0.0, 1000, (1, 2), (1,), 1, "not tried with 2 on clones, 8 on one instance, 8 on clones: a pass"),
        (1.25, 9.0, 1000, (2,), (), 1, "not tried with 1 on one instance, 1 on clones, 2 on clones, 8 on one instance"),
        (4.0, 0.0, 1000, (), (), 1, "not tried with 1 on one instance, 1 on clones, 2 on one instance, 2 on clones, "),
        (0.001, 0.0, MOST_BYTES // 2, ALL, (1, 2), 3, "not tried with 8 on clones: the artifact has 512 MiB"),
    ],
)
def test_what_takes_too_long_or_too_much_is_left_out_and_said(
    run: float, load: float, size: int, threads: Any, clones: Any, repeats: int, left_out: str
) -> None:
    found = plan(ALL, run, load, size, 3)
    assert found.left_out.startswith(left_out)
    assert bool(found.left_out) == bool(left_out)
    assert found == Plan(threads, clones, repeats, found.left_out)


def test_one_thread_alone_may_be_asked_for() -> None:
    assert plan((1,), 2.0, 0.0, 1000, 3) == Plan(
        (1,), (), 1, "not tried with 1 on clones: a pass takes 2 s, loading 0 s"
    )


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.5], "1 of 3 elements, by 0.5 at most"),
        ([1 + 1j], [1 - 1j], "1 of 1 elements, by 2 at most"),
        ([True, False], [False, False], "1 of 2 elements, by 1 at most"),
        ([0.0, np.inf], [-0.0, 1.0], "1 of 2 elements, by inf at most"),
        ([], [], "0 of 0 elements, by 0 at most"),
    ],
)
def test_how_far_results_are_apart(one: list[Any], other: list[Any], said: str) -> None:
    arrays = {"a": np.array(one), "b": np.array(other)}
    assert distance(({"tensor": "a"}, arrays), ({"tensor": "b"}, arrays))[1] == said


@pytest.mark.parametrize(("asked", "threads", "clones"), [(False, [1, 2], [1]), (True, [1, 2, 8], [1, 2, 8])])
def test_numbers_that_were_asked_for_may_take_long(
    tmp_path: Path, asked: bool, threads: list[int], clones: list[int]
) -> None:
    registry = Registry()
    register_built_in(registry)
    requests: list[dict[str, Any]] = []

    def ask(op: str, timeout: float, **fields: Any) -> dict[str, Any]:
        requests.append(fields)
        raise WorkerRefused("RuntimeError", "no", "", "")

    worker: Any = SimpleNamespace(info={"concurrent": True}, ask=ask)
    entry = SimpleNamespace(name="two", generated="", file=tmp_path / "inputs", args=[], kwargs=[])
    prepared: Any = SimpleNamespace(sets={"two": entry}, tolerance=None, tolerances={})
    artifact: Any = SimpleNamespace(size=1000, signature=Signature(file="net.pt", layout="tree"))
    outcome = Outcome(Verdict.PASS, inputs={"two": {"verdict": "pass", "seconds": 0.075}})
    cell = Cell("a.py", "a", "torchscript-trace", "libtorch-cpp")
    budget = Budget(300.0, SimpleNamespace(last_op=""))  # type: ignore[arg-type]
    found = AtOnce(registry, ALL, tmp_path, asked).checked(outcome, cell, prepared, artifact, worker, budget, 0.0)
    assert [(request["threads"], request["clones"]) for request in requests] == [(threads, clones)]
    assert found.verdict is Verdict.ERROR
    assert found.message.endswith("threads at once: RuntimeError: no")


# -- what is close -----------------------------------------------------------------------------------------------------

R = numbers(64, 70)
CLOSE = faithful(R + 2.0**-18 * numbers(64, 70, seed=4))


def of_threads(close: frozenset[str]) -> tuple[Verdict, str, list[str]]:
    """What a result that is close comes to: two threads return it, and a single one returned something else."""
    entry = InputSet("a", Path("a"), [], [], {"tensor": "/0"}, {}, frozenset(), {"": reference(R)})
    signature = Signature.read({"file": "m", "layout": "tree", "inputs": None, "dropped": [], "outputs": []})
    one = Deviation(call=0, outputs={"tensor": "threads"}, serial={"tensor": "serial"})
    answer = ConcurrentAnswer(trials=(Trial("one", 2, 2, 1, 0, (one,)),))
    notes: list[str] = []
    trials = Trials([entry], signature, Tolerance(), {}, close)
    found = {"threads": CLOSE, "serial": faithful(R)}
    return (*trials.judge(answer, found, {}, notes), notes)


def test_what_is_close_from_threads_alone_is_a_mismatch() -> None:
    verdict, message, notes = of_threads(frozenset())
    assert (verdict, notes) == (Verdict.MISMATCH, [])
    assert "run from 2 threads at once on one instance: 1 of 2 results differ" in message
    assert "of the tensor's scale" in message


@pytest.mark.parametrize("wrong", [None, 0, 2, 4])
def test_each_result_that_differs_is_judged(wrong: int | None) -> None:
    """The first may be within the tolerance, and a later one is what another thread was given."""
    entry = InputSet("a", Path("a"), [], [], {"tensor": "/0"}, {}, frozenset(), {"": reference(R)})
    signature = Signature.read({"file": "m", "layout": "tree", "inputs": None, "dropped": [], "outputs": []})
    names = [f"threads-{number}" for number in range(5)]
    found = {name: faithful(R, seed) for seed, name in enumerate(names)}
    found["threads-1"][0, 0] = np.nextafter(found["threads-1"][0, 0], np.float32(9))
    found["serial"] = faithful(R, 0)
    if wrong is not None:
        found[names[wrong]] = faithful(-R)
    deviations = tuple(Deviation(call=0, outputs={"tensor": name}, serial={"tensor": "serial"}) for name in names)
    notes: list[str] = []
    answer = ConcurrentAnswer(trials=(Trial("one", 8, 8, 6, 0, deviations),))
    verdict, message = Trials([entry], signature, Tolerance(), {}).judge(answer, found, {}, notes)
    if wrong is None:
        assert (verdict, message) == (Verdict.PASS, "")
        largest = max(float(np.abs(found[name].astype(float) - found["serial"]).max()) for name in names)
        assert notes[0].endswith(f"of {R.size} elements, by {largest:.3g} at most")
    else:
        assert verdict is Verdict.MISMATCH
        assert "6 of 8 results differ from those of serial runs; input set 'a': wrong values" in message


def test_what_is_close_anyway_may_be_so_from_threads() -> None:
    verdict, message, [note] = of_threads(frozenset({"a"}))
    assert (verdict, message) == (Verdict.PASS, "")
    assert "from those of serial runs, as imprecise as these: " in note


@pytest.mark.parametrize(
    ("errors", "on_gpu", "different", "verdict"),
    [
        (["CUDA out of memory. Tried to allocate 1.00 GiB"], True, False, Verdict.OUT_OF_MEMORY),
        (["CUDA out of memory. Tried to allocate 1.00 GiB"], False, False, Verdict.ERROR),
        (["CUDA out of memory. Tried to allocate 1.00 GiB", "bad argument"], True, False, Verdict.ERROR),
        # Numbers that are wrong are so however much memory there is.
        (["CUDA out of memory. Tried to allocate 1.00 GiB"], True, True, Verdict.MISMATCH),
    ],
)
def test_clones_may_be_too_many_for_a_gpu(errors: list[str], on_gpu: bool, different: bool, verdict: Verdict) -> None:
    entry = InputSet("a", Path("a"), [], [], {"tensor": "/0"}, {}, frozenset(), {"": reference(R)})
    signature = Signature.read({"file": "m", "layout": "tree", "inputs": None, "dropped": [], "outputs": []})
    one = Deviation(call=0, outputs={"tensor": "threads"}, serial={"tensor": "serial"})
    trials = [Trial("clones", 2, 1, 0, 1, (), ErrorAnswer("RuntimeError", text)) for text in errors]
    trials += [Trial("one", 2, 2, 1, 0, (one,))] * different
    notes: list[str] = []
    judge = Trials([entry], signature, Tolerance(), {}, frozenset(), on_gpu).judge
    found = judge(ConcurrentAnswer(trials=tuple(trials)), {"threads": CLOSE, "serial": faithful(R)}, {}, notes)
    assert found[0] is verdict, found[1]
    assert errors[0] in found[1]


def test_imprecise_sets_are_run_from_threads() -> None:
    sets = {name: InputSet(name, Path(name), [], [], {}, {}, frozenset(), {}) for name in ("a", "b", "c")}
    inputs = {name: {"verdict": verdict} for name, verdict in zip("abc", ("pass", "imprecise", "error"), strict=True)}
    chosen = chosen_sets(Outcome(Verdict.IMPRECISE, inputs=inputs), SimpleNamespace(sets=sets))  # type: ignore[arg-type]
    assert [entry.name for entry in chosen] == ["a", "b"]


@pytest.mark.parametrize(("generated", "verdict"), [("other values", Verdict.PASS), ("", Verdict.MISMATCH)])
def test_a_generated_set_has_its_own_tolerance_from_threads_too(generated: str, verdict: Verdict) -> None:
    """Of inputs by which int8 isn't calibrated, less is asked for: 2 bits, as here, are enough."""
    outputs = {"": reference(R)}
    entry = InputSet("b", Path("b"), [], [], {"tensor": "/0"}, {}, frozenset(), outputs, generated=generated)
    signature = Signature.read({"file": "m", "layout": "tree", "inputs": None, "dropped": [], "outputs": []})
    one = Deviation(call=0, outputs={"tensor": "threads"}, serial={"tensor": "serial"})
    answer = ConcurrentAnswer(trials=(Trial("one", 2, 2, 1, 0, (one,)),))
    stated = Tolerance(bits=4.0)
    coarse = faithful(R + 0.25 * numbers(64, 70, seed=4))
    judge = Trials([entry], signature, stated, {}, format="onnx-int8").judge
    found = judge(answer, {"threads": coarse, "serial": np.nextafter(coarse, np.float32(9))}, {}, [])
    assert found[0] is verdict, found[1]
