"""PyTorch of three versions: what each writes, the others load, and their numbers are the model's."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_modelconform.environments import torch_versions
from tests.support import runs, shared
from tests.support.runs import Run

VERSIONS = {"2.11": torch_versions.V2_11, "2.15": torch_versions.V2_15}
KINDS = ("torchscript_trace", "export")

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


def ours(version: str) -> list[str]:
    """Cells of what this PyTorch writes and another loads."""
    return [f"net[{kind}-torch_{version}-cpu]" for kind in KINDS]


def theirs(version: str) -> list[str]:
    """Cells of what another one writes and this one loads."""
    return [f"net[{kind}_{version}-torch-cpu]" for kind in KINDS]


def ids(version: str) -> list[str]:
    """As the command line takes them: not those of what a PyTorch writes for itself, which take as long."""
    return [f"nets.py::{name}" for name in (*ours(version), *theirs(version))]


def formats(version: str) -> list[str]:
    return ["torchscript-trace", "export", f"torchscript-trace-{version}", f"export-{version}"]


def run(folder: Path, version: str, *arguments: str) -> Run:
    env = {"MODELCONFORM_CACHE": str(folder / "cache")}
    options = (f"--modelconform-formats={','.join(formats(version))}", *arguments)
    return runs.run(folder, *options, runtimes=f"torch,torch-{version}", env=env, seconds=1800)


# Of a version each: where one of them can't be installed, the other is tested all the same.
@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    shared.installed(VERSIONS[name])
    return name


@pytest.fixture
def folder(version: str, session_folder: Path) -> Path:
    return session_folder / f"torch-{version}"


@pytest.fixture
def seen(version: str, session_folder: Path) -> Run:
    def make(folder: Path) -> Run:
        shared.cache_in(folder)
        return run(runs.write(folder, {"nets.py": NETS}), version, *ids(version))

    return runs.once(session_folder, f"torch-{version}", make)


def test_all_versions_are_here() -> None:
    assert {f"{kind}-{version}".replace("_", "-") for kind in KINDS for version in VERSIONS} == {*torch_versions.THEIRS}


@pytest.mark.installs
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cells", [ours, theirs])
def test_what_one_version_writes_another_loads(
    seen: Run, version: str, kind: str, cells: Callable[[str], list[str]]
) -> None:
    name = cells(version)[KINDS.index(kind)]
    assert seen.verdict(name) == ("pass", None), seen.stdout
    assert {entry["verdict"] for entry in seen.cells[name]["inputs"].values()} == {"pass"}


@pytest.mark.installs
def test_names_with_a_dot_are_markers_and_ids(seen: Run, version: str, folder: Path) -> None:
    # Ids are what the run above was given.
    assert {*seen.cells} == {*ours(version), *theirs(version)}
    some = run(folder, version, "-m", f"format_export_{version} or runtime_torch_{version}", "--collect-only", "-q")
    listed = {line.partition("::")[2] for line in some.stdout.splitlines() if line.startswith("nets.py::")}
    wanted = {*ours(version), theirs(version)[KINDS.index("export")]}
    assert {name for name in listed if "eager" not in name} == wanted


@pytest.mark.installs
def test_another_weight_is_seen(seen: Run, version: str, folder: Path) -> None:
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
    assert tampered == {*formats(version)}
    second = run(folder, version, *ids(version))
    for name in (*ours(version), *theirs(version)):
        assert second.verdict(name) == ("mismatch", "compare"), name
