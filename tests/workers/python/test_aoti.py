"""AOTInductor's packages in the Python worker: called like the model, with inputs checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_modelconform.workers import tensors
from pytest_modelconform.workers.loop import Handlers, WorkerError
from pytest_modelconform.workers.python import aoti, torch_worker
from pytest_modelconform.workers.torch_tensors import from_torch, to_torch
from tests.support import aoti_package

pytestmark = pytest.mark.compiles

TENSORS = ("boxes", "unused", "free", "fixed")
# In another order than the package takes them in.
KWARGS = [["scale", {"none": True}], *([name, {"tensor": name}] for name in TENSORS), ["factor", {"value": 2}]]


@pytest.fixture
def artifact(session_folder: Path) -> Path:
    return aoti_package.make(session_folder) / "artifact"


@pytest.fixture
def loaded(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> Handlers:
    monkeypatch.setenv("AOTI_RUNTIME_CHECK_INPUTS", "0")  # put back afterwards
    handlers = torch_worker.handlers("cpu", torch.get_num_threads())
    handlers["load"]({"model": str(artifact / "model.pt2"), "format": "aoti", "operators": ["torchvision"]})
    return handlers


def inputs(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
    boxes = torch.tensor([[0.0, 0, 2, 2], [0.1, 0, 2, 2], [5.0, 5, 7, 7]])
    given = {"fixed": torch.ones(2, 3), "free": torch.arange(12.0).reshape(4, 3), "unused": torch.ones(1)}
    return {**given, "boxes": boxes, **changes}


def run(handlers: Handlers, folder: Path, given: dict[str, torch.Tensor], **request: Any) -> dict[str, Any]:
    tensors.write(str(folder / "in"), {key: from_torch(value) for key, value in given.items()})
    files = {"inputs": str(folder / "in"), "outputs": str(folder / "out")}
    return handlers["run"]({**files, "repeats": 2, "args": [], "kwargs": KWARGS, **request})


def test_a_package_is_called_like_the_model(loaded: Handlers, tmp_path: Path) -> None:
    # As asked of a graph, whose fields this worker leaves alone.
    answer = run(loaded, tmp_path, inputs(), feeds=[["x", "fixed"]], fetches=["0"])
    first, second = answer["runs"]
    assert first["layout"] == "tree"
    assert second["same_as"] == 0
    assert answer["inputs_changed"] == []
    assert first["outputs"] == {
        "dict": [
            ["y", {"tensor": "0/y"}],
            ["none", {"none": True}],
            ["pair", {"tuple": [{"tensor": "0/pair/0"}, {"tensor": "0/pair/1"}]}],
            ["steps", {"tensor": "0/steps"}],
            ["n", {"tensor": "0/n"}],
            ["kept", {"tensor": "0/kept"}],
            ["turned", {"tensor": "0/turned"}],
        ]
    }
    found = {key: to_torch(value) for key, value in tensors.read(str(tmp_path / "out")).items()}
    y = 2.0 + torch.arange(12.0).reshape(4, 3) * torch.tensor([6.0, 10.0, 14.0])
    assert torch.equal(found["0/y"], y)
    assert torch.equal(found["0/pair/1"], y)
    assert torch.equal(found["0/turned"], 2 * y.t())
    assert (found["0/n"].item(), found["0/kept"].tolist()) == (4, [2, 1])


def test_a_free_length_may_be_one(loaded: Handlers, tmp_path: Path) -> None:
    run(loaded, tmp_path, inputs(free=torch.ones(1, 3)))
    found = tensors.read(str(tmp_path / "out"))
    assert to_torch(found["0/y"]).tolist() == [[8.0, 12.0, 16.0]]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("fixed", torch.ones(3, 3), r"input_handles\[0\]: unmatched dim value at 0, expected: 2, but got: 3"),
        ("fixed", torch.ones(3, 2).t(), r"input_handles\[0\]: unmatched stride value at 0, expected: 3, but got: 1"),
        ("free", torch.ones(4, 3, dtype=torch.float64), r"input_handles\[1\]: unmatched dtype"),
    ],
)
def test_inputs_that_a_package_was_not_compiled_for_are_refused(
    loaded: Handlers, tmp_path: Path, name: str, value: torch.Tensor, message: str
) -> None:
    with pytest.raises(WorkerError, match=message + r".* \(AOTI_RUNTIME_CHECK_INPUTS=1; without it,") as caught:
        run(loaded, tmp_path, inputs(**{name: value}))
    assert caught.value.kind == "RuntimeError"


def test_a_package_for_another_device_is_refused(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AOTI_RUNTIME_CHECK_INPUTS", "0")
    path = aoti_package.with_metadata(artifact / "model.pt2", tmp_path / "model.pt2", AOTI_DEVICE_KEY="cuda")
    message = "the package was compiled for cuda, this is cpu: export it on the device that it runs on"
    with pytest.raises(WorkerError, match=message):
        aoti.load(str(path), "cpu")


def test_a_package_for_another_processor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = json.loads('{"AOTI_DEVICE_KEY": "cpu", "AOTI_CPU_ISA": "AVX512 AVX512_VNNI AMX_TILE"}')
    monkeypatch.setattr(torch.cpu, "_is_avx512_supported", lambda: False)
    assert aoti.unsuitable(metadata, "cpu") == (
        "the package was compiled for a processor with AVX512 AVX512_VNNI AMX_TILE, which this one lacks: "
        "export it on this one"
    )
    monkeypatch.setattr(torch.cpu, "_is_avx512_supported", lambda: True)
    assert aoti.unsuitable(metadata, "cpu") is None
    assert aoti.unsuitable({"AOTI_CPU_ISA": "ASIMD"}, "cpu") is None
