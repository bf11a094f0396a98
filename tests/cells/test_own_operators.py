"""Which runtime can have a case's own operators, what it is told to load, and what a case is told that names none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelconform.cells import loading, own_operators
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.terms.cell import CaseRef, Cell
from pytest_modelconform.terms.signature import Signature

PYTHON, NATIVE = "/here/ops.py", "/here/ops.so"


@pytest.fixture(scope="module")
def registry() -> Registry:
    found = Registry()
    register_built_in(found)
    return found


def signature(calls: tuple[str, ...] = ("mine",), operators: tuple[str, ...] = (), **extensions: Any) -> Signature:
    return Signature(file="m", layout="tree", extensions=extensions, calls=calls, operators=operators)


@pytest.mark.parametrize(
    ("runtime", "of", "said"),
    [
        ("torch", {"torch": (PYTHON,)}, ""),
        ("torch", {"torch": (NATIVE,)}, ""),
        ("libtorch-cpp", {"torch": (NATIVE,)}, ""),
        ("libtorch-cpp", {"torch": (PYTHON, NATIVE)}, ""),
        ("libtorch-cpp", {"torch": (PYTHON,)}, "registers in Python (ops.py), and libtorch-cpp runs no Python"),
        ("libtorch-cpp", {"torch": ("a_package",)}, "registers in Python (a_package), and libtorch-cpp runs no Python"),
        ("torch-2.11", {"torch": (PYTHON,)}, ""),
        ("torch-2.11", {"torch": (NATIVE,)}, "compiled for the torch that exports, and torch-2.11 is another version"),
        ("ort", {"torch": (NATIVE,), "onnxruntime": (NATIVE,)}, ""),
        ("ort-cpp", {"torch": (NATIVE,)}, "nothing that registers it for ONNX Runtime: give a C++ source or a library"),
        ("openvino-cpp", {"onnxruntime": (NATIVE,)}, "nothing that registers it for OpenVINO"),
        ("executorch", {"torch": (NATIVE,)}, "operators=Operators(executorch=(…,))"),
        ("tract", {"onnxruntime": (NATIVE,)}, "tract loads no operators of others"),
    ],
)
def test_unsupported(registry: Registry, runtime: str, of: dict[str, Any], said: str) -> None:
    found = own_operators.unsupported(registry.runtime(runtime), signature(**of))
    assert said in (found or "")
    assert bool(said) == bool(found)
    # What an artifact doesn't call, nobody needs.
    assert own_operators.unsupported(registry.runtime(runtime), signature(calls=(), **of)) is None


@pytest.mark.parametrize(
    ("runtime", "loads"),
    [
        ("torch", {"libraries": ["/torchvision.so", NATIVE], "modules": [PYTHON, "a_package"], "path": ["/here"]}),
        ("libtorch-cpp", {"libraries": ["/torchvision.so", NATIVE]}),
        ("torch-2.11", {"libraries": ["/torchvision.so"], "modules": [PYTHON, "a_package"], "path": ["/here"]}),
        ("ort", {"libraries": ["/torchvision.so", "/here/ort.so"]}),
        ("tract", {"libraries": ["/torchvision.so"]}),
    ],
)
def test_each_runtime_loads_what_is_for_it(
    registry: Registry, runtime: str, loads: dict[str, Any], tmp_path: Path
) -> None:
    stored = signature(torch=(PYTHON, "a_package", NATIVE), onnxruntime=("/here/ort.so",))
    request = {"libraries": ["/torchvision.so"]}
    found = own_operators.fields(registry.runtime(runtime), stored, request, tmp_path, ["/here"], print)
    assert found == loads


def test_without_operators_of_its_own_a_load_stays_as_it_is(registry: Registry, tmp_path: Path) -> None:
    for runtime in registry.runtimes:
        stored = Signature(file="m", layout="tree", operators=("torchvision",))
        assert own_operators.fields(registry.runtime(runtime), stored, {}, tmp_path, ["/here"], print) == {}


@pytest.mark.parametrize(
    ("message", "stored", "advised"),
    [
        ("Unknown builtin op: mine::shrink.", signature(operators=("mine",)), True),
        ("calls operators of 'mine' (as in mine::…)", signature(operators=("mine",)), True),
        ("the file is truncated", signature(operators=("mine",)), False),
        ("Unknown builtin op: aten::new.", signature(operators=("mine",)), False),
        ("Unknown builtin op: mine::shrink.", signature(operators=("mine",), torch=(NATIVE,)), False),
    ],
)
def test_a_case_that_names_nothing_is_told_what_to_add(message: str, stored: Signature, advised: bool) -> None:
    said = own_operators.advice(stored, Path("cases/net.py"), message)
    assert bool(said) == advised
    assert not advised or 'operators=Operators(torch=("net.py",))' in said


def test_other_versions_of_torch_export_no_operators_in_c() -> None:
    def ref(name: str) -> CaseRef:
        return CaseRef(Path("a.py"), "a.py", "a", operators=(("torch", (name,)),))

    assert "ops.so" in str(own_operators.unexportable("export-2.11", ref(NATIVE)))
    assert own_operators.unexportable("export-2.11", ref(PYTHON)) is None
    assert own_operators.unexportable("export", ref(NATIVE)) is None


@pytest.mark.parametrize(
    ("stored", "before", "fresh"),
    [
        # Of another case's process, and of its own; and what calls none may run anywhere.
        (signature(operators=("mine",), calls=()), {NATIVE}, True),
        (signature(operators=("mine",), torch=(NATIVE,)), {"/there/ops.so"}, True),
        (signature(operators=("mine",), torch=(NATIVE,)), {NATIVE}, False),
        (signature(operators=("torchvision",), calls=()), {NATIVE}, False),
        (signature(operators=("mine",), calls=()), set(), False),
    ],
)
def test_no_cell_runs_on_what_another_case_has_registered(
    registry: Registry, stored: Signature, before: set[str], fresh: bool
) -> None:
    workers = [SimpleNamespace(registered=set(before)), SimpleNamespace(registered=set())]
    pool = SimpleNamespace(discard=workers.remove, runtime=lambda name, device: workers[0])
    tools: Any = SimpleNamespace(registry=registry, pool=pool)
    used: Any = workers[0]
    artifact: Any = SimpleNamespace(signature=stored)
    found = loading.unspoilt(tools, Cell("a.py", "a", "export", "torch"), artifact, Path(), used)
    assert (found is not used) == fresh
