"""What the case host does with a case that it has built."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.workers.host.host import Host
from tests.support import runs

SOURCE = """\
import torch

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.table, self.calls = None, 0

    def forward(self, x):
        {}


net = Net()
two = {{"five": lambda: (torch.randn(2, 5, 4),), "nine": lambda: (torch.randn(2, 9, 4),)}}
case = Case(model=lambda: Net(), inputs=two, dynamic_shapes={{"x": {{1: "n"}}}}, fixed_inputs="small")
shared = Case(model=lambda: net, inputs=two, dynamic_shapes={{"x": {{1: "n"}}}}, fixed_inputs="small")
"""
KEEPS = """\
if self.table is None or self.table.shape[0] < x.shape[1]:
            self.table = torch.tensor([[(i + j) ** 0.5 for j in range(4)] for i in range(x.shape[1])])
        return self.linear(x + self.table[: x.shape[1]])"""


@pytest.mark.parametrize(("body", "kept"), [(KEEPS, True), ("return self.linear(x)", False)])
@pytest.mark.parametrize("case", ["case", "shared"])
def test_an_export_is_of_a_model_that_no_run_has_left_anything_in(
    body: str, kept: bool, case: str, tmp_path: Path
) -> None:
    path = runs.case_file(tmp_path, "kept", SOURCE.format(body))
    where = {"file": str(path), "relative": path.name, "case": path.stem if case == "case" else case}
    host = Host()
    first = host.build(where)
    made = host.reference({**where, "folder": str(tmp_path)})
    again: Any = host.same({**where, "digest": made["digest"]})
    # What the longer set needed would be in an export of the shorter one, and nobody else's export has it.
    assert again.model.table is None
    assert (again is not first) == kept
    assert ("attributes that are no buffers (table)" in " ".join(made["notes"])) == kept
    # So is any other run.
    if kept:
        again.model(*again.clone_inputs("nine")[0])
        host.keep_if_untouched(again)
        assert host.build(where) is not again


READS = """\
import functools
import importlib
from pathlib import Path

import beside_at_import
import torch

from pytest_modelconform import Case

HERE = Path(__file__).parent
SCALE = float((HERE / "at_import.txt").read_text())
built = []


def at_first():
    if not built:
        built.append(float((HERE / "at_first_build.txt").read_text()))
    return built[0]


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.scale = SCALE + at_first()

    def forward(self, x):
        return self.linear(x) * (self.scale + beside_at_import.SCALE + self.lazy())

    @functools.cached_property
    def lazy_number(self):
        return float((HERE / "in_forward.txt").read_text())

    def lazy(self):
        return importlib.import_module("beside_in_forward").SCALE + self.lazy_number


case = Case(model=lambda: Net(), inputs={"one": lambda: (torch.randn(2, 4),)}, fixed_inputs="small")
other = Case(model=lambda: Net(), inputs={"one": lambda: (torch.randn(3, 4),)}, fixed_inputs="small")
"""
BESIDE = "from pathlib import Path\nSCALE = float(Path(__file__).with_suffix('.txt').read_text())\n"
_TEXTS = ("at_import", "at_first_build", "in_forward", "beside_at_import", "beside_in_forward")
_MODULES = ("beside_at_import", "beside_in_forward")


@pytest.fixture
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A case file that reads at each opportunity."""
    for name in _TEXTS:
        (tmp_path / f"{name}.txt").write_text("1.0")
    for name in _MODULES:
        (tmp_path / f"{name}.py").write_text(BESIDE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield runs.case_file(tmp_path, "reads", READS)
    for name in _MODULES:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "requests",
    [
        # The file is imported by then, and so are those beside it; and its functions have kept what they read.
        [{}, {"dtype": "bfloat16"}],
        [{}, {"precision": "fast"}],
    ],
    ids=["dtypes", "precisions"],
)
def test_what_was_read_once_counts_for_each_request(
    reads: Path, requests: list[dict[str, str]], tmp_path: Path
) -> None:
    host = Host()
    for number, request in enumerate(requests):
        folder = tmp_path / f"references-{number}"
        folder.mkdir()
        where = {"file": str(reads), "relative": reads.name, "case": reads.stem, "folder": str(folder), **request}
        found = {Path(name) for name in host.reference(where)["files"] if name.startswith(str(tmp_path))}
        expected = {f"{name}.txt" for name in _TEXTS} | {f"{name}.py" for name in _MODULES} | {reads.name}
        assert {path.name for path in found} == expected, number


def test_what_was_read_for_the_module_counts_for_its_other_cases(reads: Path, tmp_path: Path) -> None:
    host = Host()
    for name in (reads.stem, "other"):
        where = {"file": str(reads), "relative": reads.name, "case": name, "folder": str(tmp_path / "references")}
        (tmp_path / "references").mkdir(exist_ok=True)
        found = {Path(name).name for name in host.reference(where)["files"]}
        assert found >= {f"{name}.txt" for name in (*_MODULES, "at_import", "in_forward")}
    # The same of a collection in a process that has built a case.
    collected = host.collect({"file": str(reads), "relative": reads.name})["files"]
    assert {Path(name).name for name in collected} >= {"at_import.txt", "beside_at_import.txt"}
