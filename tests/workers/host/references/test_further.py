"""Further noisy runs of an input set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_modelconform.workers import arrays, tensors
from pytest_modelconform.workers.host.build import Built, build
from pytest_modelconform.workers.host.host import Host
from pytest_modelconform.workers.host.references import noisy
from pytest_modelconform.workers.host.references import runs as reference
from pytest_modelconform.workers.loop import WorkerError
from tests.support import runs

CASE = """\
import torch

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 8)

    def forward(self, x):
        y = self.linear(x)
        return {"y": y, "best": y.argmax(-1), "pair": [y.tanh()]}


net = Case(model=Net, inputs={"a": lambda: (torch.rand(4, 8),), "b": lambda: (torch.rand(2, 8),)})
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return runs.case_file(tmp_path, "further", CASE)


def drawn(folder: Path, built: Built, count: int = 4, seconds: float = 60.0) -> dict[str, Any]:
    tensors.write(str(folder / "further"), noisy.further(built, "b", count, seconds))
    return dict(arrays.read(folder / "further"))


def test_they_are_other_draws_of_the_same_noise(tmp_path: Path, file: Path) -> None:
    built = build(str(file), file.name, "net")
    reference.make(built, str(tmp_path))
    first = arrays.read(tmp_path / "runs-b.safetensors")
    found = drawn(tmp_path, built)
    # Integers have wide runs of their own.
    assert {key for key in found if key.startswith("e1:")} == {"e1:/y", "e1:/pair/0"}
    assert len(found) == 8
    every = [*(first[f"e{k}:/y"] for k in (1, 2, 3)), *(found[f"e{k}:/y"] for k in (1, 2, 3, 4))]
    assert len({array.tobytes() for array in every}) == 7
    for array in every:
        assert 0 < np.abs(array - first["r:/y"]).max() < 2e-6
    # The same again, in another process, too: nothing but the case's seed decides.
    assert all(np.array_equal(array, found[key]) for key, array in drawn(tmp_path, built).items())


def test_as_many_as_there_is_time_for(tmp_path: Path, file: Path) -> None:
    built = build(str(file), file.name, "net")
    assert noisy.further(built, "a", 3, 0.0) == {}
    assert len(noisy.further(built, "a", 3, 60.0)) == 6


def test_the_host_leaves_the_case_file_alone(tmp_path: Path, file: Path) -> None:
    host = Host()
    request: dict[str, Any] = {"file": str(file), "relative": file.name, "case": "net"}
    digest = host.reference({**request, "folder": str(tmp_path)})["digest"]
    more = {"folder": str(tmp_path), "set": "a", "runs": 2, "seconds": 60.0}
    assert host.noise({**request, **more, "digest": digest}) == {"runs": 2}
    assert set(arrays.read(tmp_path / "runs-a.safetensors")) == {"e1:/y", "e1:/pair/0", "e2:/y", "e2:/pair/0"}
    assert file.read_text() == CASE
    with pytest.raises(WorkerError, match="other numbers"):
        host.noise({**request, **more, "digest": "another"})
