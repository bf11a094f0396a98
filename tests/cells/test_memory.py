"""A cell whose step doesn't fit into memory is unavailable, and nothing was started that the kernel would kill."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from pytest_modelconform.cache.reservations import Reservations
from pytest_modelconform.cells import loading
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.stages import StageFailure, failure_of
from pytest_modelconform.cells.worker import WorkerRefused
from pytest_modelconform.formats import onnx, state_dict
from pytest_modelconform.terms import capacity, memory
from pytest_modelconform.terms.capacity import Memory
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Stage, Verdict
from pytest_modelconform.workers.host import host as host_module
from pytest_modelconform.workers.loop import WorkerError
from tests.support import runs

# A machine of 8 bytes, of which 1 is free; the model takes 4.
CONFTEST = """
from pytest_modelconform.terms import capacity, memory

memory.LEAST = 1
capacity.memory = lambda: capacity.Memory(total=8, free=1)
"""


def test_a_load_that_does_not_fit(tmp_path: Path) -> None:
    runs.write(tmp_path, {"case_tight.py": runs.PLAIN})
    with (tmp_path / "conftest.py").open("a") as file:
        file.write(CONFTEST)
    found = runs.run(tmp_path, "--modelconform-formats=torchscript-trace", "--modelconform-runtimes=torch")
    [cell] = [cell for cell in found.report["cells"] if cell["runtime"] == "torch"]
    assert (cell["verdict"], cell["stage"]) == ("unavailable", "load"), found.stdout
    assert cell["message"] == (
        "to load and run 0.0 GB in torch, about 0.0 GB of memory are needed, and 0.0 GB of 0.0 GB are free: run it on "
        "a machine with more"
    )
    assert found.status == 0


@pytest.mark.parametrize(
    ("names", "signature", "times"),
    [
        ({"format": "onnx", "runtime": "ort"}, {"external": ["model.onnx.data"]}, 1.6),
        ({"format": "onnx", "runtime": "ort-cpp"}, {}, memory.LOAD),
        ({"format": "export", "runtime": "torch"}, {}, 1.6),
        ({"format": "aoti", "runtime": "torch"}, {}, memory.LOAD),
        ({"format": "torchscript-trace", "runtime": "libtorch-cpp"}, {}, 1.3),
        ({"format": "onnx", "runtime": "openvino"}, {}, memory.LOAD),
        # What was measured holds for nothing that is widened, copied or trained.
        ({"format": "export", "runtime": "torch", "dtype": "float16"}, {}, memory.LOAD),
        ({"format": "torchscript-trace", "runtime": "libtorch-cpp", "precision": "fast"}, {}, memory.LOAD),
        ({"format": "torchscript-trace", "runtime": "libtorch-cpp", "task": "training"}, {}, memory.LOAD),
    ],
)
def test_a_load_takes_what_its_runtime_was_measured_with(
    names: dict[str, str], signature: dict[str, Any], times: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a megabyte less than that it isn't begun; with that, the worker is asked."""
    registry = Registry()
    register_built_in(registry)
    size, asked = 10**9, Mock(side_effect=WorkerRefused("", "asked", "", ""))
    parts: Any = SimpleNamespace(registry=registry, ask=asked, size=size, registered=set())
    parts.pool = SimpleNamespace(reservations=Reservations(None))
    stored = {"format": names["format"], **signature}
    parts.signature = SimpleNamespace(stored=stored, extensions={}, calls=(), operators=())
    monkeypatch.setattr(loading, "load_request", lambda *given: {})
    look = memory.lacking_after_a_while
    monkeypatch.setattr(
        memory, "lacking_after_a_while", lambda what, needed, there: look(what, needed, there, patience=0.0)
    )
    for free, said in ((times * size - 10**6, "to load and run 1.0 GB in"), (times * size + 10**6, "asked")):
        monkeypatch.setattr(capacity, "memory", lambda free=free: Memory(total=10**11, free=int(free)))
        with pytest.raises(StageFailure, match=said):
            loading.load(parts, Cell("a.py", "a", **names), parts, Path(), parts, parts)


def test_references_that_do_not_fit(tmp_path: Path) -> None:
    # In this process, so that the case host sees the same machine.
    # A file of no other test: what a cell took when it ran before would be told instead.
    runs.write(tmp_path, {"case_tighter.py": runs.PLAIN})
    with (tmp_path / "conftest.py").open("a") as file:
        file.write(CONFTEST)
    found = runs.run(tmp_path, "--modelconform-formats=torchscript-trace", "--modelconform-inline", runtimes="torch")
    for cell in found.report["cells"]:
        assert (cell["verdict"], cell["stage"]) == ("unavailable", "reference"), found.stdout
        assert "case 'case_tighter': for references of a model of 0.0 GB, about" in cell["message"]
    assert len(found.report["cells"]) == 2
    assert found.status == 0


@pytest.mark.parametrize(
    ("free", "stage"), [(1, "reference"), (1000, "export"), (10**6, "")], ids=["references", "export", "fits"]
)
def test_what_a_case_host_begins(free: int, stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LEAST", 1)
    monkeypatch.setattr(capacity, "memory", lambda: Memory(total=free, free=free))
    path = runs.case_file(tmp_path, "small", runs.PLAIN)
    host = host_module.Host()
    where: dict[str, Any] = {"file": str(path), "relative": path.name, "case": path.stem}

    def answer() -> None:
        content = host.reference({**where, "folder": str(tmp_path)})
        more = {"digest": content["digest"], "output_paths": content["output_paths"], "folder": str(tmp_path)}
        monkeypatch.setattr(state_dict, "memory", lambda size: 999 * size)
        host.export({**where, **more, "module": state_dict.__name__})

    if not stage:
        answer()
        return
    what = {"reference": "references of", "export": "an export as state-dict of"}[stage]
    with pytest.raises(WorkerError, match=rf"^case 'small\d+': for {what} a model of 0\.0 GB, about") as caught:
        answer()
    problem = WorkerRefused(caught.value.kind, str(caught.value), "", caught.value.stage)
    failure = failure_of(problem, Stage(stage))
    assert (failure.verdict, failure.stage) == (Verdict.UNAVAILABLE, Stage(stage))
    assert str(failure).startswith("case 'small")


def test_a_graph_without_its_weights_takes_less() -> None:
    assert onnx.memory(3 * 10**9) < 10**9
    assert onnx.memory(10**9) > 3 * 10**9


def test_the_smoke_model_is_never_asked_for() -> None:
    assert torch.nn.Linear(3, 3).weight.nbytes * memory.COPIED < memory.LEAST
