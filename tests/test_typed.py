"""JSON that becomes typed: answers of workers and entries of the cache, and what is none."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_modelconform.cache.store import Cache
from pytest_modelconform.cells import typed
from pytest_modelconform.cells.case_files import Declared
from pytest_modelconform.cells.case_host import Exports
from pytest_modelconform.cells.machinery import CollectAnswer, Collected
from pytest_modelconform.cells.pool import Pool
from pytest_modelconform.cells.registry import Registry
from pytest_modelconform.cells.stages import Budget, StageFailure
from pytest_modelconform.cells.worker import InlineWorker, Worker, WorkerLied
from pytest_modelconform.references import content
from pytest_modelconform.references.prepared import Prepared
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.terms.cell import CaseRef
from pytest_modelconform.terms.outcome import Stage, Verdict
from pytest_modelconform.workers import lookups

ENTRY: dict[str, Any] = {
    "args": [{"tensor": "/args/0"}],
    "kwargs": [["scale", {"float": "0x1.0p+1"}]],
    "outputs": {"tensor": ""},
    "leaves": [{"path": "/args/0", "shape": [2, 3], "name": "x"}],
    "inputs_changed": [],
    "seconds": 1,
    "impure": "",
    "constants": {"scale": "2.0"},
    "state_changed": [],
    "views": [],
    "repeats": True,
}
# What a case host answers to `reference`.
ANSWER: dict[str, Any] = {
    "id": 1,
    "ok": True,
    "digest": "abc",
    "files": {"/a.py": "1"},
    "exporter_set": "one",
    "input_leaves": [{"path": "/args/0", "dtype": "float32", "shape": ["batch", 3], "actual": [2, 3]}],
    "output_paths": [""],
    "sets": {"one": ENTRY, "auto-least": ENTRY},
    "generated": {"auto-least": ["the least sizes: batch = 1", True]},
    "left_out": {},
    "framework": "torch",
    "blind_ok": False,
    "accept": [],
    "dropout": [],
    "tolerance": {"bits_lost": 3, "worst": None, "rtol": None, "atol": None, "cosine": None, "reason": ""},
    "tolerances": {"ort": {"bits_lost": 5.0, "reason": "why"}},
    "notes": [],
    "parameters": 72,
    "unseen": {"tensors": 2, "unseen": [], "skipped": "", "constant": []},
}
TRAIN: dict[str, Any] = {
    "inputs": [{"tensor": "/0"}],
    "target": {"tensor": "/1"},
    "loss": None,
    "optimizer": {"name": "sgd", "lr": 0.1},
    "steps": 4,
    "batch_size": 2,
    "resume_at": 2,
    "seed": 2**64 - 1,
}
DECLARED: dict[str, Any] = {
    "name": "net",
    "fault": None,
    "tags": ["slow"],
    "paper": "",
    "requires": [],
    "dtypes": ["float32"],
    "has": ["train"],
    "framework": "torch",
    "tolerance": {},
    "tolerances": {"ort": {"worst": 6.0, "reason": "why"}},
}


def inline() -> InlineWorker:
    return InlineWorker("case host", {})


def changed(value: Mapping[str, Any], path: str, new: Any) -> dict[str, Any]:
    """A copy with another value at a path, "sets.one.seconds"; None removes what is there."""
    found: dict[str, Any] = copy.deepcopy(dict(value))
    *way, last = path.split(".")
    inner = found
    for name in way:
        inner = inner[name]
    if new is None:
        del inner[last]
    else:
        inner[last] = new
    return found


# -- answers -----------------------------------------------------------------------------------------------------------


def test_an_answer_is_typed_and_goes_back_to_the_same_json(tmp_path: Path) -> None:
    found = typed.answer(inline(), "reference", ANSWER, content.InferenceAnswer)
    assert found.sets["one"].leaves == [content.Leaf(path="/args/0", shape=[2, 3], name="x")]
    assert found.input_leaves[0].shape == ["batch", 3]
    assert found.generated["auto-least"].may_refuse
    assert found.files == {"/a.py": "1"}
    assert (found.tolerance, found.tolerances["ort"]) == (Tolerance(bits_lost=3), Tolerance(5.0, reason="why"))
    prepared = Prepared(found, "key", tmp_path, cached=False)
    assert (prepared.digest, prepared.output_paths, prepared.tolerance.bits_lost) == ("abc", [""], 3)
    # The names on the wire and in the cache are the same; what isn't known is left out. What a case sees of its outputs
    # comes with the references.
    again = json.loads(json.dumps(typed.json_of(found)))
    assert again.keys() - {"outputs", "blind", "packages"} == ANSWER.keys() - {"id", "ok"}
    assert again["generated"] == ANSWER["generated"]
    assert again["sets"] == ANSWER["sets"]
    assert typed.cached(again, content.InferenceAnswer) == found


def test_an_answer_on_a_training(tmp_path: Path) -> None:
    answer = {**ANSWER, "train": TRAIN, "sets": {"gradients": ENTRY, "training": {**ENTRY, "draws": True}}}
    found = typed.answer(inline(), "reference", answer, content.TrainingAnswer)
    assert (found.sets["gradients"].draws, found.sets["training"].draws) == (False, True)
    train = Prepared(found, "key", tmp_path, cached=False).train
    assert (train.loss, train.seed, train.optimizer["lr"]) == (None, 2**64 - 1, 0.1)


@pytest.mark.parametrize(
    ("path", "new", "says"),
    [
        ("exporter_set", None, "Object missing required field `exporter_set`"),
        ("files", None, "Object missing required field `files`"),
        ("sets.one.outputs", None, r"Object missing required field `outputs` - at `\$.sets\[...\]`"),
        ("sets", ["one"], r"Expected `object`, got `array` - at `\$.sets`"),
        ("sets.one.seconds", "soon", r"Expected `float`, got `str` - at `\$.sets\[...\].seconds`"),
        ("notes", [3], r"Expected `str`, got `int` - at `\$.notes\[0\]`"),
        ("blind_ok", "yes", r"Expected `bool`, got `str` - at `\$.blind_ok`"),
        ("parameters", 1.5, r"Expected `int`, got `float` - at `\$.parameters`"),
        ("input_leaves", [{"path": "/args/0"}], r"missing required field `dtype` - at `\$.input_leaves\[0\]`"),
        ("generated", {"auto-least": ["why"]}, "Expected `array` of at least length 2, got 1"),
        ("tolerance", {"bits_lost": "3"}, r"Expected `float \| null`, got `str` - at `\$.tolerance.bits_lost`"),
    ],
)
def test_an_answer_that_does_not_fit_is_a_lie(path: str, new: Any, says: str) -> None:
    says = rf"^case host broke the protocol with an answer to 'reference' that can't be read: .*{says}"
    with pytest.raises(WorkerLied, match=says):
        typed.answer(inline(), "reference", changed(ANSWER, path, new), content.InferenceAnswer)


def test_who_lies_is_ended() -> None:
    script = "import sys\nprint('last words', file=sys.stderr, flush=True)\nsys.stdin.readline()\nsys.stdin.readline()"
    worker = Worker("converter", [sys.executable, "-c", script], {})
    with pytest.raises(WorkerLied, match=r"converter broke the protocol with an answer to 'convert' that can't be rea"):
        typed.answer(worker, "convert", {"seconds": 1.0}, content.Converted)
    assert not worker.alive


def test_an_answer_from_this_process_is_as_from_another() -> None:
    answer = {"seconds": np.float64(1.5), "signature": {"shape": (1, 2)}}
    worker = InlineWorker("converter", {"convert": lambda request: answer})
    assert worker.ask("convert", 1) == {"ok": True, "seconds": 1.5, "signature": {"shape": [1, 2]}}
    assert typed.answer(worker, "convert", worker.ask("convert", 1), content.Converted).seconds == 1.5


def test_a_converter_need_not_say_how_long_it_took() -> None:
    # Other packages have converters, too.
    found = typed.answer(inline(), "convert", {"signature": {"file": "a"}}, content.Converted)
    assert (found.signature, found.seconds) == ({"file": "a"}, 0.0)


def test_declared_cases() -> None:
    answer = {"cases": [DECLARED, {**DECLARED, "fault": "no", "tags": [], "has": []}], "files": {}, "packages": {}}
    found = typed.answer(inline(), "collect", answer, CollectAnswer)
    assert found.cases[0] == Declared(
        "net",
        tags=["slow"],
        requires=[],
        dtypes=["float32"],
        has=["train"],
        tolerances={"ort": Tolerance(worst=6.0, reason="why")},
    )
    assert found.cases[1].fault == "no"
    for path, new in (("name", None), ("dtypes", "float32"), ("fault", 3), ("tolerances", {"ort": {"worst": "6"}})):
        with pytest.raises(WorkerLied, match="broke the protocol with an answer to 'collect' that can't be read"):
            typed.answer(inline(), "collect", {"cases": [changed(DECLARED, path, new)], "files": {}}, CollectAnswer)


# -- the cache ---------------------------------------------------------------------------------------------------------


def test_an_entry_of_another_version_is_none() -> None:
    assert typed.cached(None, content.Inference) is None
    stored = {**ANSWER, "digest_of_all": "d"}
    assert typed.cached(stored, content.Inference) is not None
    for path in ("unseen", "sets.one.repeats", "input_leaves"):
        assert typed.cached(changed(stored, path, None), content.Inference) is None
    assert typed.cached({"cases": [changed(DECLARED, "name", None)]}, Collected) is None
    # One of a training is none of outputs.
    assert typed.cached(stored, content.Training) is None


class Host:
    """A case host that answers what a test says, and counts."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.answer, self.asked = answer, 0

    def __call__(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self.asked += 1
        return dict(self.answer)


@pytest.fixture
def exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exports:
    """Exports whose references are made without runs, from what the host in `exports.host` answers."""
    monkeypatch.setattr("pytest_modelconform.references.from_runs.make", lambda folder, answer, fast: answer)
    pool = Pool(Registry(), tmp_path, [], threads=1, share=1, inline=True, progress=print)
    return Exports(Registry(), Cache(tmp_path), pool, 10)


def find(exports: Exports, host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Prepared:
    worker = InlineWorker("case host", {"reference": host})
    monkeypatch.setattr(exports.pool, "host_for", lambda framework: worker)
    return exports.find(CaseRef(tmp_path / "a.py", "a.py", "a"), Budget(10, exports.pool))


def test_references_of_another_version_are_made_anew(
    exports: Exports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host({**ANSWER, "files": {}, "packages": lookups.record()})
    first = find(exports, host, monkeypatch, tmp_path)
    again = find(exports, host, monkeypatch, tmp_path)
    assert (first.cached, again.cached, host.asked) == (False, True, 1)
    assert (again.key, again.folder) == (first.key, tmp_path / "references" / first.key)
    assert again.content.sets == first.content.sets
    [file] = (tmp_path / "cases").iterdir()
    entry = json.loads(file.read_text())
    assert not {"files", "packages"} & entry["content"].keys()
    assert entry["content"]["digest_of_all"] == first.key
    # What an older version wrote has another shape.
    file.write_text(json.dumps(changed(entry, "content.unseen", None)))
    anew = find(exports, host, monkeypatch, tmp_path)
    assert (anew.cached, host.asked) == (False, 2)
    assert find(exports, host, monkeypatch, tmp_path).cached


def test_a_case_host_that_answers_nonsense_is_an_error(
    exports: Exports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StageFailure, match="case host broke the protocol with an answer to 'reference'") as caught:
        find(exports, Host(changed(ANSWER, "sets", None)), monkeypatch, tmp_path)
    assert (caught.value.stage, caught.value.verdict) == (Stage.REFERENCE, Verdict.ERROR)
    # It leaves nothing.
    assert list((tmp_path / "cases").iterdir()) == list((tmp_path / "references").iterdir()) == []
