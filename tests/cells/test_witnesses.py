"""Mismatches that find each other across cells and processes, and what they make one suspect."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.witnesses import Witness, Witnesses, said
from pytest_modelconform.formats.built_in import BUILT_IN
from pytest_modelconform.formats.origins import origin
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.terms.cell import CaseRef, Cell
from tests.support import runs
from tests.support.synthetic import Array, faithful, numbers, reference

R = numbers(40, 50)
WRONG = R * 1.01
EXPORT, REFERENCE = "suspect the export", "suspect the reference"


@pytest.fixture
def witnesses(tmp_path: Path) -> Witnesses:
    registry = Registry()
    register_built_in(registry)
    return Witnesses(registry, tmp_path / "session")


def leave(
    witnesses: Witnesses,
    cell: Cell,
    y: Array,
    framework: str = "torch",
    name: str = "first",
    key: str = "k",
) -> None:
    """What a cell leaves that returned y for an input set; the exporters' is "first"."""
    entry = SimpleNamespace(references={"": reference(R)})
    content = SimpleNamespace(exporter_set="first")
    prepared = SimpleNamespace(key=key, sets={name: entry}, content=content)
    found: Any = SimpleNamespace(prepared=prepared, tolerance=Tolerance(), runs={name: [({"tensor": "y"}, {"y": y})]})
    witnesses.take(CaseRef(Path("a.py"), "a.py", "a", framework=framework), cell, found)


def cell(format_name: str, runtime: str, **more: str) -> Cell:
    return Cell("a.py", "a", format_name, runtime, **more)


def notes(witnesses: Witnesses) -> dict[str, str]:
    return {cell.runtime: note for cell, note in witnesses.notes()}


def test_two_engines_with_one_artifact_make_one_suspect_the_export(witnesses: Witnesses) -> None:
    leave(witnesses, cell("onnx", "ort"), faithful(WRONG, 1))
    assert notes(witnesses) == {}
    leave(witnesses, cell("onnx", "openvino"), faithful(WRONG, 2))
    sentence = "openvino and ort agree with each other, not with eager: suspect the export (onnx)"
    assert notes(witnesses) == {"ort": sentence, "openvino": sentence}


def test_a_model_that_is_an_onnx_file_was_exported_by_nobody(witnesses: Witnesses) -> None:
    for runtime in ("ort", "openvino"):
        leave(witnesses, cell("onnx", runtime), faithful(WRONG, 1), "onnx")
    assert notes(witnesses)["ort"] == (
        "openvino and ort agree with each other, not with the reference: suspect the reference"
    )


def test_what_is_compiled_and_what_is_exported_have_decompositions_in_common(witnesses: Witnesses) -> None:
    leave(witnesses, cell("onnx", "ort"), faithful(WRONG, 1))
    leave(witnesses, cell("module", "torch-compile"), faithful(WRONG, 2))
    assert notes(witnesses)["ort"] == (
        "ort and torch-compile agree with each other, not with eager: suspect PyTorch's decompositions, which "
        "torch.compile and torch.export have in common"
    )


def test_artifacts_that_two_tracers_made_make_one_suspect_the_reference(witnesses: Witnesses) -> None:
    leave(witnesses, cell("onnx", "ort"), faithful(WRONG, 1))
    leave(witnesses, cell("torchscript-trace", "libtorch-cpp"), faithful(WRONG, 2))
    assert (
        notes(witnesses)["ort"] == "libtorch-cpp and ort agree with each other, not with eager: suspect the reference"
    )


def test_formats_that_one_tracer_made_have_it_in_common(witnesses: Witnesses) -> None:
    leave(witnesses, cell("onnx", "ort"), faithful(WRONG, 1))
    leave(witnesses, cell("openvino", "openvino"), faithful(WRONG, 2))
    assert notes(witnesses)["ort"].endswith("suspect the export (torch.export, which onnx and openvino have in common)")


def test_what_the_exported_set_decided_is_no_fault_of_the_reference(witnesses: Witnesses) -> None:
    leave(witnesses, cell("onnx", "ort"), faithful(WRONG, 1), name="second")
    leave(witnesses, cell("torchscript-trace", "torch"), faithful(WRONG, 2), name="second")
    assert notes(witnesses)["ort"].endswith(
        "suspect the export (onnx and torchscript-trace keep what the exported input set decided)"
    )


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (("onnx", "ort"), ("onnx", "ort-cpp")),
        (("onnx", "ort"), ("onnx-legacy", "ort-webgpu")),
        (("openvino", "openvino"), ("onnx", "openvino-cpp")),
        (("torchscript-trace", "torch"), ("aoti", "libtorch-cpp")),
        (("executorch", "executorch"), ("litert", "litert")),
        (("caffe", "caffe"), ("onnx", "opencv")),
    ],
)
def test_one_engine_is_no_second_opinion(witnesses: Witnesses, one: tuple[str, str], two: tuple[str, str]) -> None:
    leave(witnesses, cell(*one), faithful(WRONG, 1))
    leave(witnesses, cell(*two), faithful(WRONG, 2))
    assert notes(witnesses) == {}


def test_other_faults_cases_precisions_and_sets_are_no_agreement(witnesses: Witnesses) -> None:
    leave(witnesses, cell("onnx", "ort"), faithful(WRONG, 1))
    leave(witnesses, cell("onnx", "openvino"), faithful(R * 0.98, 2))
    leave(witnesses, cell("onnx", "tract"), faithful(WRONG, 2), key="another")
    leave(witnesses, cell("onnx", "tvm"), faithful(WRONG, 2), name="second")
    assert notes(witnesses) == {}


def test_all_who_agree_are_named(witnesses: Witnesses) -> None:
    for seed, runtime in enumerate(("ort", "ort-cpp", "openvino", "tract")):
        leave(witnesses, cell("onnx", runtime), faithful(WRONG, seed))
    found = notes(witnesses)
    assert found["tract"].startswith("openvino, ort, ort-cpp and tract agree with each other, ")
    # Their own family says nothing that counts.
    assert found["ort"].startswith("openvino, ort and tract agree with each other, ")


def test_what_is_kept_is_bounded_and_removed(witnesses: Witnesses) -> None:
    r = numbers(1000, 1000)
    entry = SimpleNamespace(references={"": reference(r)})
    prepared = SimpleNamespace(key="k", sets={"first": entry}, content=SimpleNamespace(exporter_set="first"))
    for device in range(70):
        run = ({"tensor": "y"}, {"y": faithful(r * 1.01)})
        found: Any = SimpleNamespace(prepared=prepared, tolerance=Tolerance(), runs={"first": [run]})
        witnesses.take(CaseRef(Path("a.py"), "a.py", "a"), cell("onnx", "ort", device=str(device)), found)
    files = list(witnesses.folder.rglob("*.npz"))
    assert len(files) == 64
    assert max(file.stat().st_size for file in files) < 80_000
    witnesses.remove()
    assert not witnesses.folder.exists()
    assert notes(witnesses) == {}


def test_every_built_in_format_has_an_origin() -> None:
    assert {origin(name, "torch") for name in BUILT_IN} >= {"torch.export", "torch.jit.trace", "state-dict"}
    assert origin("onnx", "onnx") == ""
    assert origin("export", "onnx") == "onnx2torch"
    assert origin("stablehlo", "jax") == "stablehlo"
    one, two = (Witness(cell("a", name), name, "a") for name in "xy")
    assert said([one, two], "torch", False).endswith("suspect the export (a)")


CASES = """\
import torch

from pytest_modelconform import Case


class Other(torch.nn.Module):
    \"\"\"Another function wherever it is exported, by whatever way.\"\"\"

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 5)

    def forward(self, x):
        exported = torch.compiler.is_compiling() or torch.jit.is_tracing()
        return self.linear(x) * (1.5 if exported else 1.0)


inputs = {"two": lambda: (torch.randn(2, 4),), "three": lambda: (torch.randn(3, 4),)}
case = Case(model=Other, inputs=inputs, dynamic_shapes=({0: "batch"},))
"""


@pytest.mark.compiles
@pytest.mark.parametrize(
    ("runtimes", "names", "processes"),
    [("ort,torch", "ort and torch", "0"), ("ort,openvino,torch", "openvino, ort and torch", "2")],
    ids=["one process", "two processes"],
)
def test_both_cells_say_so_in_the_report(session_folder: Path, runtimes: str, names: str, processes: str) -> None:
    # In one folder, so that what one run made is in the cache for the other.
    folder = runs.write(session_folder / "witnesses", {"net.py": CASES.replace("model=Other", "model=lambda: Other()")})
    options = ["--modelconform-formats=onnx,torchscript-trace", "-n", processes]
    found = runs.run(folder, *options, runtimes=runtimes)
    by_trace, by_export = "net[torchscript_trace-torch-cpu]", "net[onnx-ort-cpu]"
    assert found.verdict(by_trace) == found.verdict(by_export) == ("mismatch", "compare")
    everybody = "agree with each other, not with eager: suspect the reference"
    assert f"{names} {everybody}" in found.message(by_trace)
    assert f"{names} {everybody}" in found.message(by_export)
    assert everybody in found.failure(f"net.py::{by_export}")
    assert found.message(by_export).count("agree with each other") == 1
