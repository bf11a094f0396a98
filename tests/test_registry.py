from __future__ import annotations

import sys
from types import ModuleType

import pytest

from pytest_modelconform.cells.registry import Registry, UnknownName, register_built_in
from pytest_modelconform.terms.cell import Cell


@pytest.fixture
def registry() -> Registry:
    made = Registry()
    register_built_in(made)
    return made


def test_the_built_in_names(registry: Registry) -> None:
    formats = ("torchscript-trace", "torchscript-script", "export", "aoti", "onnx", "onnx-legacy", "state-dict")
    runtimes = ("torch", "libtorch-cpp", "cpp-frontend", "ort", "ort-cpp", "openvino", "openvino-cpp")
    # The main ones: what others need takes minutes more, and they run when they are named.
    assert registry.select_formats(()) == formats
    assert registry.select_runtimes(()) == runtimes
    assert set(registry.formats) > set(formats)
    assert set(registry.runtimes) > set(runtimes)
    assert registry.select_formats(("all",)) == registry.formats
    assert registry.select_runtimes(("all",)) == registry.runtimes
    assert registry.select_devices(()) == ("cpu",)
    assert registry.devices == ("cpu", "cuda", "cuda-to-cpu")
    assert registry.select_precisions(()) == ("full",)
    assert registry.select_precisions(("fast", "full")) == registry.select_precisions(("all",)) == ("full", "fast")
    assert all(registry.runtime(name).PRECISIONS == ("full", "fast") for name in runtimes)


def test_every_module_is_called_what_it_is_registered_as(registry: Registry) -> None:
    for name in registry.formats:
        assert name == registry.format(name).NAME
    for name in registry.runtimes:
        runtime = registry.runtime(name)
        assert name == runtime.NAME
        assert set(runtime.FORMATS) <= set(registry.formats)
        # What stands behind the colon is what to do.
        assert runtime.unavailable("cpu") is None or ": " in str(runtime.unavailable("cpu"))


def test_the_registrys_order_counts(registry: Registry) -> None:
    assert registry.select_runtimes(("ort", "torch")) == ("torch", "ort")


def test_cells(registry: Registry) -> None:
    cells = registry.cells("a.py", "a", registry.select_formats(()), ("torch", "ort-cpp"), ("cpu", "cuda"))
    assert cells[0] == Cell("a.py", "a", "torchscript-trace", "torch", "cpu")
    # ort-cpp has no CUDA; torch loads no ONNX.
    assert [cell.name for cell in cells if "onnx" in cell.format] == [
        "a[onnx-ort_cpp-cpu]",
        "a[onnx_legacy-ort_cpp-cpu]",
    ]
    assert len(cells) == 4 * 2 + 2


def test_cells_of_a_dtype_in_each_precision(registry: Registry) -> None:
    cells = registry.cells("a.py", "a", ("export",), ("torch",), ("cpu",), "bfloat16", ("full", "fast"))
    assert [cell.name for cell in cells] == ["a[export-torch-cpu-bfloat16]", "a[export-torch-cpu-bfloat16-fast]"]


def test_a_runtime_has_one_precision_unless_it_says_more(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("slow")
    vars(module).update(NAME="slow", FORMATS=("onnx",), command=lambda *_: ["true"])
    monkeypatch.setitem(sys.modules, "slow", module)
    registry.add_runtime("slow", "slow")
    assert registry.runtime("slow").PRECISIONS == ("full",)
    cells = registry.cells("a.py", "a", ("onnx",), ("slow", "ort"), ("cpu",), precisions=("full", "fast"))
    assert [cell.name for cell in cells] == ["a[onnx-slow-cpu]", "a[onnx-ort-cpu]", "a[onnx-ort-cpu-fast]"]


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("format", "onx", r"unknown format 'onx'. Did you mean 'onnx'\? Known formats: torchscript-trace, "),
        ("runtime", "libtorch", r"unknown runtime 'libtorch'. Did you mean 'libtorch-cpp'\? Known runtimes: torch, "),
        ("runtime", "zzz", r"unknown runtime 'zzz'. Known runtimes: "),
    ],
)
def test_unknown_names(registry: Registry, kind: str, name: str, message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        getattr(registry, kind)(name)
    with pytest.raises(UnknownName, match=message):
        getattr(registry, f"select_{kind}s")((name,))


def test_names_that_ids_could_not_tell_apart(registry: Registry) -> None:
    with pytest.raises(ValueError, match="runtime 'ort_cpp' of mine is taken by another name like it"):
        registry.add_runtime("ort_cpp", "mine")
    with pytest.raises(ValueError, match=r"format 'onnx' of mine is taken by pytest_modelconform\.formats\.onnx"):
        registry.add_format("onnx", "mine")
    for word in ("eager", "fast", "bfloat16"):
        with pytest.raises(ValueError, match=f"'{word}'"):
            registry.add_runtime(word, "mine")


def test_modules_are_imported_when_asked_for(registry: Registry) -> None:
    registry.add_runtime("mine", "no_such_module_anywhere")
    assert "mine" in registry.runtimes
    with pytest.raises(ModuleNotFoundError):
        registry.runtime("mine")


def test_defaults_and_what_a_module_lacks(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, half = ModuleType("whole"), ModuleType("half")
    vars(whole).update(NAME="whole", FORMATS=("onnx",), command=lambda *_: ["true"])
    vars(half).update(NAME="half")
    for module in (whole, half):
        monkeypatch.setitem(sys.modules, module.__name__, module)
        registry.add_runtime(module.__name__, module.__name__)
        registry.add_format(module.__name__, module.__name__)
    runtime = registry.runtime("whole")
    assert (runtime.DEVICES, runtime.REQUIRES, runtime.MAIN, runtime.NARROWS) == (("cpu",), (), False, {})
    assert runtime.PRECISION_NOTE == ""
    assert "bfloat16" in registry.runtime("openvino").PRECISION_NOTE
    assert runtime.unavailable("cpu") is None
    with pytest.raises(TypeError, match="runtime module half lacks FORMATS, command"):
        registry.runtime("half")
    with pytest.raises(TypeError, match="format module half lacks export"):
        registry.format("half")


def test_a_package_that_takes_a_built_in_name(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_modelconform_register(registry):\n    registry.add_runtime('ort', 'my_ort')\n")
    result = pytester.runpytest_inprocess("--modelconform")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    says = "modelconform: runtime 'ort' of my_ort is taken by pytest_modelconform.runtimes.ort"
    assert says in result.stderr.str()
    assert "Traceback" not in result.stderr.str()
