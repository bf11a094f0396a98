"""Large models: copies share their weights, and give what whole copies give."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelconform.workers.host import host as host_module
from pytest_modelconform.workers.host import large
from pytest_modelconform.workers.host.build import digest
from pytest_modelconform.workers.host.references import float64
from tests.support import runs
from tests.workers.host.references.test_blind_spots import unseen


class Tied(nn.Module):
    """A weight that two modules have, and that the model itself reads, too; one module is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(12, 8)
        self.twice = nn.Linear(8, 8)
        self.head = nn.Linear(8, 12, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.twice(self.twice(self.words(x)))
        return self.head(x) + nn.functional.linear(x, self.words.weight)


class Sequence(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 8, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.BatchNorm1d(8)
        self.convolution = nn.Conv1d(8, 4, 3)

    def forward(self, x: torch.Tensor) -> Any:
        x, _ = self.lstm(x)
        x, _ = self.attention(x, x, x)
        return self.convolution(self.norm(x.transpose(1, 2)))


MODELS: dict[str, tuple[Callable[[], nn.Module], torch.Tensor]] = {
    "tied": (Tied, torch.tensor([[1, 5, 11]])),
    "sequence": (Sequence, torch.linspace(-1, 1, 2 * 6 * 8).reshape(2, 6, 8)),
}


def call(model: nn.Module, args: Any, kwargs: Any) -> Any:
    with torch.no_grad():
        return model(*args, **kwargs)


@pytest.fixture
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "LARGE", 1)
    monkeypatch.setattr(large, "_SHARED", 1)


@pytest.mark.usefixtures("small_is_large")
@pytest.mark.parametrize("name", MODELS)
def test_the_float64_run_of_a_large_model_is_that_of_a_copy(name: str) -> None:
    make, x = MODELS[name]
    torch.manual_seed(0)
    model = make().eval()
    before = digest(model, {})
    found, impure = float64.run_wide(float64.Widened(model).copy(), (x,), {}, call)
    wanted, _ = float64.run_wide(float64.widened(model), (x,), {}, call)
    assert impure == ""
    assert torch.equal(found, wanted)
    assert digest(model, {}) == before


@pytest.mark.usefixtures("small_is_large")
def test_copies_share_what_they_do_not_write_to() -> None:
    model = Sequence()
    memory = {value.data_ptr() for value in model.parameters()}
    copied = large.widened(model)
    assert {value.data_ptr() for value in copied.parameters()} == memory
    assert not {value.data_ptr() for value in copied.buffers()} & {value.data_ptr() for value in model.buffers()}
    assert dict(copied.named_buffers())["norm.running_var"].dtype == torch.float64


@pytest.mark.usefixtures("small_is_large")
def test_weights_are_narrow_again_after_a_module_that_fails() -> None:
    model = large.widened(nn.Sequential(nn.Linear(8, 8)))
    with pytest.raises(RuntimeError):
        model(torch.zeros(2, 3, dtype=torch.float64))
    assert {value.dtype for value in model.parameters()} == {torch.float32}


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.usefixtures("small_is_large")
def test_torchscript_is_copied() -> None:
    model = nn.Linear(8, 8)
    assert large.is_large(model)
    assert not large.is_large(torch.jit.trace(model, torch.zeros(1, 8)))


@pytest.mark.usefixtures("small_is_large")
def test_what_a_large_case_can_not_see_is_found_as_in_a_small_one(tmp_path: Path) -> None:
    init = "self.a, self.b = (torch.nn.Linear(8, 8, bias=False) for _ in range(2)); self.c = torch.nn.Linear(8, 8)"
    found = unseen(tmp_path, init, "return self.a(x) + 1e-7 * self.b(x)")
    assert found == {"tensors": 4, "unseen": ["b.weight", "c.bias", "c.weight"], "skipped": "", "constant": []}


@pytest.mark.usefixtures("small_is_large")
def test_a_case_host_has_one_large_model_at_a_time(tmp_path: Path) -> None:
    host = host_module.Host()
    models = []
    for number in (1, 2):
        path = runs.case_file(tmp_path, "large", runs.PLAIN + f"# {number}")
        built = host.build({"file": str(path), "relative": path.name, "case": path.stem})
        vars(built.model)["itself"] = [built.model]  # a cycle, as tracing leaves one
        models.append(weakref.ref(built.model))
        del built
    assert [model() is None for model in models] == [True, False]


def test_freed_blocks_go_back() -> None:
    code = """
import torch
from pytest_modelconform.workers.host import large
large.return_freed_memory()
def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) / 1024
before = resident()
kept = []
for _ in range(10):
    blocks = [torch.ones(5 * 2**20 // 4) for _ in range(20)]
    kept.append(torch.ones(2**16))
    del blocks
print(resident() - before)
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("glibc is Linux's")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert float(done.stdout) < 20


# What a process takes more than before, in multiples of the 200 MB of a linear layer. Pages of the weights themselves
# are there before.
TAKES = {
    "digest": ("digest(model, {})", 0.3),
    "state_dict": ("state_dict.export(Built, folder)", 0.3),
    "float64": (
        "float64.run_wide(float64.Widened(model).copy(), (torch.ones(1, 64),), {}, lambda model, a, k: model(*a, **k))",
        0.5,
    ),
}
PROGRAM = """
import resource, sys, tempfile
from pathlib import Path
import torch
from pytest_modelconform.formats import state_dict
from pytest_modelconform.workers.host import host as host_module
from pytest_modelconform.workers.host import large
from pytest_modelconform.workers.host.build import digest
from pytest_modelconform.workers.host.references import float64

large.LARGE = 1
model = torch.nn.Sequential(torch.nn.Linear(64, 64), *(torch.nn.Linear(1250, 1250) for _ in range(32)))
model.forward = lambda x: [layer(torch.zeros(1, 1250, dtype=x.dtype)) for layer in model[1:]][-1] + model[0](x).sum()
size = sum(value.nbytes for value in model.parameters())


class Built:
    cpp, dtype = None, "float32"
    case = type("case", (), {"mode": "eval"})


Built.model = model
with tempfile.TemporaryDirectory() as temporary:
    folder = Path(temporary)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with torch.no_grad():
        CALL
    scale = 1 if sys.platform == "darwin" else 1024
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * scale / size)
"""


@pytest.mark.parametrize("name", TAKES)
def test_weights_are_not_copied(name: str) -> None:
    code, most = TAKES[name]
    # Else glibc keeps blocks of such a size when they are freed, as it does not those of a model that is really large.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**20)}
    command = [sys.executable, "-c", PROGRAM.replace("CALL", code)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < most, done.stdout
