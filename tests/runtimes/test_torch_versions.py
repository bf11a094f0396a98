"""PyTorch of three versions: what each writes, the others load, and their numbers are the model's."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from pytest_modelconform import environments
from pytest_modelconform.cache.store import default_folder
from pytest_modelconform.environments import torch_versions
from tests import runs
from tests.runs import Run

CACHE = default_folder()
ENVIRONMENTS = [torch_versions.V2_11, torch_versions.V2_15]

NETS = """\
import torch
from torch import nn

from pytest_modelconform import Case


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        nn.init.constant_(self.linear.weight, 5.5)

    def forward(self, x, mask):
        return {"y": torch.relu(self.linear(x)) * mask, "count": mask.sum()}


net = Case(
    model=lambda: Net(),
    inputs={
        "two": lambda: {"x": torch.rand(2, 4), "mask": torch.tensor([[True], [False]])},
        "three": lambda: {"x": torch.rand(3, 4), "mask": torch.tensor([[True], [False], [True]])},
    },
    dynamic_shapes={"x": {0: "batch"}, "mask": {0: "batch"}},
)
"""
VERSIONS = ("2.11", "2.15")
KINDS = ("torchscript_trace", "export")
OURS = [f"net[{kind}-torch_{version}-cpu]" for kind in KINDS for version in VERSIONS]
THEIRS = [f"net[{kind}_{version}-torch-cpu]" for kind in KINDS for version in VERSIONS]
FORMATS = ",".join(["torchscript-trace", "export", *torch_versions.THEIRS])

pytestmark = pytest.mark.skipif(
    any(environments.unavailable(environment) for environment in ENVIRONMENTS),
    reason="needs venv and pip",
)


def run(folder: Path, *arguments: str) -> Run:
    env = {"MODELCONFORM_CACHE": str(folder / "cache")}
    options = (f"--modelconform-formats={FORMATS}", *arguments)
    return runs.run(folder, *options, runtimes="torch,torch-2.11,torch-2.15", env=env, seconds=1800)


@pytest.fixture
def seen(session_folder: Path) -> Run:
    def make(folder: Path) -> Run:
        own = folder / "cache" / environments.FOLDER
        own.mkdir(mode=0o700, parents=True)
        own.parent.chmod(0o700)
        for environment in ENVIRONMENTS:
            installed = environments.install(environment, CACHE, print)
            (own / installed.name).symlink_to(installed)
        return run(runs.write(folder, {"nets.py": NETS}))

    return runs.once(session_folder, "torch-versions", make)


@pytest.mark.parametrize("name", [*OURS, *THEIRS])
def test_what_one_version_writes_another_loads(seen: Run, name: str) -> None:
    assert seen.verdict(name) == ("pass", None), seen.stdout
    assert {entry["verdict"] for entry in seen.cells[name]["inputs"].values()} == {"pass"}


def test_names_with_a_dot_are_markers_and_ids(seen: Run, session_folder: Path) -> None:
    folder = session_folder / "torch-versions"
    some = run(folder, "-m", "format_export_2.11 or runtime_torch_2.15")
    wanted = {name for name in (*OURS, *THEIRS) if "export_2.11" in name or "torch_2.15" in name}
    assert {name for name in some.cells if "eager" not in name} == wanted
    one = run(folder, f"nets.py::{THEIRS[0]}")
    assert set(one.cells) == {THEIRS[0]}


def test_another_weight_is_seen(seen: Run, session_folder: Path) -> None:
    folder = session_folder / "torch-versions"
    tampered = set()
    for path in (folder / "cache" / "artifacts").glob("*/signature.json"):
        signature = json.loads(path.read_text())
        file = path.parent / signature["file"]
        content = file.read_bytes()
        if struct.pack("<f", 5.5) in content:
            # The archive's checksums are not looked at by any of them.
            file.write_bytes(content.replace(struct.pack("<f", 5.5), struct.pack("<f", 5.505)))
            tampered.add(signature["format"])
            # What a host made that had made others would be made anew by a fresh one, and be right again.
            made = path.with_name("export.json")
            made.write_text(json.dumps({**json.loads(made.read_text()), "fresh": True}))
    assert tampered == set(FORMATS.split(","))
    second = run(folder)
    for name in (*OURS, *THEIRS):
        assert second.verdict(name) == ("mismatch", "compare"), name
