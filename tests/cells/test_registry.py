from __future__ import annotations

import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from types import ModuleType

import pytest

from pytest_modelconform.building.harness import ENGINES
from pytest_modelconform.cells.registry import NameTaken, Registry, UnknownName, register_built_in
from pytest_modelconform.formats.base import Format
from pytest_modelconform.formats.base import described as describe_format
from pytest_modelconform.formats.built_in import BUILT_IN as FORMATS
from pytest_modelconform.runtimes.base import Runtime
from pytest_modelconform.runtimes.base import described as describe_runtime
from pytest_modelconform.terms.cell import Cell


@pytest.fixture
def registry() -> Registry:
    built_in = Registry()
    register_built_in(built_in)
    return built_in


def test_the_built_in_names(registry: Registry) -> None:
    formats = (
        "torchscript-trace", "torchscript-script", "export", "aoti", "onnx", "onnx-legacy", "module", "state-dict",
    )  # fmt: skip
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


def test_whatever_runs_once_runs_in_steps(registry: Registry) -> None:
    columns = registry.select_formats(("all",)), registry.select_runtimes(("all",)), ("cpu",), "bfloat16"
    plain = registry.cells("a.py", "a", *columns, ("full", "fast"))
    steps = registry.cells("a.py", "a", *columns, ("full", "fast"), has=("sequence",))
    assert {cell.task for cell in plain} == {"inference"}
    # As exactly as a runtime can, in each dtype.
    assert [replace(cell, task="inference") for cell in steps if cell.task == "sequence"] == [
        cell for cell in plain if cell.precision == "full"
    ]
    assert [cell.artifact_task for cell in steps] == ["inference"] * len(steps)


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
    with pytest.raises(NameTaken, match="mine can't add the runtime 'ort_cpp': the name is taken by ort-cpp; choose"):
        registry.add_runtime("ort_cpp", "mine")
    with pytest.raises(NameTaken, match=r"'onnx': the name is taken by pytest_modelconform\.formats\.onnx"):
        registry.add_format("onnx", "mine")
    for word in ("eager", "fast", "bfloat16"):
        with pytest.raises(NameTaken, match=f"'{word}'"):
            registry.add_runtime(word, "mine")


def test_modules_are_imported_when_asked_for(registry: Registry) -> None:
    registry.add_runtime("mine", "no_such_module_anywhere")
    assert "mine" in registry.runtimes
    assert not registry.broken
    says = "its module no_such_module_anywhere can't be imported: ModuleNotFoundError: No module named"
    assert str(registry.runtime("mine").unavailable("cpu")).startswith(says)
    assert registry.broken["runtime mine"].startswith(says)


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
    assert "runtime module half lacks FORMATS, command" in str(registry.runtime("half").unavailable("cpu"))
    assert "format module half lacks export" in str(registry.format("half").unavailable())


# -- what a module offers ----------------------------------------------------------------------------------------------


def made(name: str, **members: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(members)
    return module


def runtime_of(**members: object) -> Runtime:
    return describe_runtime(made("mine", **{"NAME": "mine", "FORMATS": ("onnx",), "command": list, **members}))


def format_of(**members: object) -> Format:
    return describe_format(made("mine", **{"NAME": "mine", "export": dict, **members}))


def test_every_built_in_module_fits_its_description(registry: Registry) -> None:
    assert all(isinstance(registry.format(name), Format) for name in registry.formats)
    assert all(isinstance(registry.runtime(name), Runtime) for name in registry.runtimes)
    for name, path in FORMATS.items():
        assert registry.format(name).module == path
        assert (registry.format(name).export is None) == bool(registry.format(name).FROM)
    engines = {name: registry.runtime(name).ENGINE for name in registry.runtimes if registry.runtime(name).ENGINE}
    assert set(engines.values()) == set(ENGINES)


def test_what_a_module_does_not_say(registry: Registry) -> None:
    runtime = runtime_of()
    assert (runtime.PACKAGE, runtime.TASKS, runtime.LIMITS, runtime.ENVIRONMENT) == ("mine", ("inference",), {}, None)
    assert runtime.FAMILY == "mine"
    assert runtime.load_request(Path("a"), {"file": "f", "format": "onnx"})["model"] == "a/f"
    assert runtime.build({}, Path("a"), print) == {}
    assert str(runtime_of(REQUIRES=("no-such-package>=3",)).unavailable("cpu")).startswith("needs no-such-package>=3")
    assert (format_of().FRAMEWORKS, format_of().SMOKE, format_of().foreign) == ({"torch": "mine"}, "smoke", None)
    converted = describe_format(made("mine", NAME="mine", FROM="onnx", command=list))
    assert (converted.FRAMEWORKS, converted.export) == ({}, None)
    with pytest.raises(TypeError, match="a format without FROM has no converter"):
        format_of().command(1, Path("a"), print)


def test_a_set_will_do_for_a_sequence() -> None:
    module = made("mine", NAME="mine", FORMATS={"tvm", "onnx"}, command=list)
    assert describe_runtime(module).FORMATS == ("onnx", "tvm")
    with pytest.raises(TypeError, match="FORMATS must be a sequence of strings"):
        describe_runtime(made("mine", NAME="mine", FORMATS={"onnx", 9}, command=list))


def test_a_description_does_not_change_its_module() -> None:
    module = made("mine", NAME="mine", FORMATS=("onnx",), command=list)
    before = set(vars(module))
    runtime = describe_runtime(module)
    assert set(vars(module)) == before
    with pytest.raises(FrozenInstanceError):
        runtime.MAIN = True  # type: ignore[misc]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"FORMATS": "onnx"}, "runtime module mine: FORMATS must be a sequence of strings, not 'onnx'"),
        ({"FORMATS": ("onnx", 9)}, r"FORMATS must be a sequence of strings, not \('onnx', 9\)"),
        ({"LIMITS": ("dtype:float16",)}, r"LIMITS must be a mapping of strings to strings, not \('dtype:float16',\)"),
        ({"NARROWS": {"int64": 32}}, "NARROWS must be a mapping of strings to strings, not {'int64': 32}"),
        ({"MAIN": "yes"}, "MAIN must be True or False, not 'yes'"),
        ({"NAME": 3}, "NAME must be a string, not 3"),
        ({"ENVIRONMENT": "env"}, "ENVIRONMENT must be an Environment or None, not 'env'"),
        ({"command": ["worker"]}, r"command must be a function, not \['worker'\]"),
        ({"LIMITS": {"dtype:": "no"}}, "mine: LIMITS has 'dtype:', an unknown kind of limit"),
        ({"NARROW": {}}, r"runtime module mine defines NARROW. Did you mean NARROWS\?"),
        ({"DEVICE": ("cpu",)}, r"runtime module mine defines DEVICE. Did you mean DEVICES\?"),
    ],
)
def test_a_runtime_that_does_not_fit(members: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        runtime_of(**members)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"REPEATS": True}, "format module mine: REPEATS must be a whole number, not True"),
        ({"SUFFIXES": ".onnx"}, "SUFFIXES must be a sequence of strings, not '.onnx'"),
        ({"foreign": ".onnx"}, "foreign must be a function or None, not '.onnx'"),
        ({"export": None, "FROM": "onnx"}, "format module mine lacks command: command must be a function"),
        ({"FRAMEWORK": {}}, r"format module mine defines FRAMEWORK. Did you mean FRAMEWORKS\?"),
    ],
)
def test_a_format_that_does_not_fit(members: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        format_of(**members)


def test_what_is_missing_is_said_with_what_it_has_to_be() -> None:
    says = "runtime module half lacks FORMATS, command: FORMATS must be a sequence of strings; command must be a "
    with pytest.raises(TypeError, match=says):
        describe_runtime(made("half", NAME="half"))


def test_a_modules_own_constants_are_its_own() -> None:
    # Also one that is called almost like a member that it has defined.
    runtime = runtime_of(OPTIONS={}, REQUIREMENTS=(), _NARROW={}, FORMAT="onnx", narrow={}, Device=1)
    assert runtime.FORMATS == ("onnx",)
    assert not hasattr(runtime, "OPTIONS")
