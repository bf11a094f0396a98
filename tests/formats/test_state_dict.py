"""Format `state-dict`: all of state_dict(), for any reader of safetensors, and what the signature has to say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pytest_modelconform.workers.host import host as host_module

CASE = """\
import torch

from pytest_modelconform import Case, generic_weights


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(3)
        self.first = torch.nn.Linear(3, 3, bias=False)
        self.tied = torch.nn.Linear(3, 3, bias=False)
        self.tied.weight = self.first.weight
        self.turned = torch.nn.Parameter(torch.rand(2, 3).t())
        self.register_buffer("shift", torch.rand(3), persistent=False)

    def forward(self, x, scale=2.0, *rest, **options):
        return (self.tied(self.first(self.norm(x))) + self.shift) @ self.turned * scale


class More(Net):
    def get_extra_state(self):
        return {"version": 1}


inputs = {"two": lambda: (torch.rand(2, 3),)}
case = Case(model=lambda: generic_weights(Net()), inputs=inputs, cpp="net.cpp", dtypes=("float32", "float16"))
more = Case(model=lambda: generic_weights(More()), inputs=inputs, cpp="net.cpp")
"""


def exported(tmp_path: Path, case: str, dtype: str) -> tuple[host_module.Host, Path]:
    """A case's artifact, and the host that made it."""
    path = tmp_path / f"{tmp_path.name}.py"
    path.write_text(CASE)
    (tmp_path / "net.cpp").write_text("// never compiled here\n")
    host = host_module.Host()
    where = {"file": str(path), "relative": path.name, "case": case, "dtype": dtype}
    built = host.build(where)
    folder = tmp_path / "artifact"
    folder.mkdir()
    module = "pytest_modelconform.formats.state_dict"
    host.export(
        {**where, "module": module, "digest": built.digest, "output_paths": [""], "folder": str(folder)},
    )
    return host, folder


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_any_reader_finds_the_state_dict(dtype: str, tmp_path: Path) -> None:
    host, folder = exported(tmp_path, tmp_path.name, dtype)
    state = host.built["inference"][1].model.state_dict()
    stored = load_file(folder / "model.safetensors")
    assert sorted(stored) == sorted(state)
    assert stored["norm.num_batches_tracked"].dtype == torch.int64
    assert stored["turned"].dtype == getattr(torch, dtype)
    assert all(torch.equal(stored[name], value) for name, value in state.items())


def test_the_signature(tmp_path: Path) -> None:
    _, folder = exported(tmp_path, tmp_path.name, "float16")
    signature: dict[str, Any] = json.loads((folder / "signature.json").read_text())
    assert signature == {
        "file": "model.safetensors",
        "format": "state-dict",
        "layout": "tree",
        "inputs": None,
        "operators": [],
        # As an optimizer has them: what is shared is there once.
        "parameters": ["turned", "norm.weight", "norm.bias", "first.weight"],
        "buffers": ["norm.running_mean", "norm.running_var", "norm.num_batches_tracked"],
        "cpp": str(tmp_path / "net.cpp"),
        "frontend": {"dtype": "float16", "mode": "eval", "arguments": ["x", "scale"], "computed": ["shift"]},
    }


def test_more_than_tensors_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TypeError) as caught:
        exported(tmp_path, "more", "float32")
    words = "the state_dict holds more than tensors, which safetensors can't store: _extra_state"
    assert str(caught.value) == words
