"""A name that was given has cells in what is collected, whatever is selected of it, or the run ends with status 4."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import fakes, runs

# Of a case whose package is missing nothing is imported, and its cells are there all the same.
HERE = runs.PLAIN.replace("inputs=inputs", "inputs=inputs, requires=('no_such_package',)")
IN_CPP = HERE.replace("requires=", "cpp='net.cpp', requires=")
NO_CPP = "has no cell: no case that was collected has the field cpp=… that state-dict needs"
REQUIRED = "--modelconform-require openvino has no cell: it is neither among the formats nor among the runtimes"
CPP_REQUIRED = "--modelconform-require cpp-frontend has no cell: it loads state-dict, and no case"

Start = Callable[..., pytest.RunResult]


@pytest.fixture
def start(pytester: pytest.Pytester) -> Start:
    """Run pytest on two case files, one with a model in C++, and a test of another kind."""
    runs.write(
        pytester.path,
        {"cases/plain.py": HERE, "cases/cpp/written.py": IN_CPP, "test_other.py": "def test_it(): pass\n"},
    )

    def started(*arguments: str, ini: str = "", cwd: str = "") -> pytest.RunResult:
        (pytester.path / "pytest.ini").write_text(f"[pytest]\n{ini}")
        pytester.chdir()
        if cwd:
            pytester._monkeypatch.chdir(pytester.path / cwd)
        line = ["--modelconform", *([] if "-n" in arguments else ["-p", "no:xdist"]), *runs.OTHERS_PLUGINS, *arguments]
        return pytester.runpytest_subprocess(*line) if "-n" in arguments else pytester.runpytest_inprocess(*line)

    return started


def ended(result: pytest.RunResult, message: str) -> None:
    """With a usage error that says this; or, for "", otherwise."""
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    if message:
        assert message in result.stderr.str()
        assert result.ret == pytest.ExitCode.USAGE_ERROR
    else:
        assert result.ret in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED), result.stderr.str()


FORMATS = "--modelconform-formats=onnx,state-dict"
INI = "modelconform_formats = onnx, state-dict\n"


@pytest.mark.parametrize(
    ("arguments", "ini", "message"),
    [
        ((FORMATS,), "", ""),
        ((FORMATS, "cases/cpp"), "", ""),
        ((FORMATS, "cases/plain.py"), "", f"format state-dict {NO_CPP}"),
        (("--modelconform-runtimes=cpp-frontend,ort", "cases/plain.py"), "", "runtime cpp-frontend has no cell"),
        (("--modelconform-formats=twin-jax",), "", "has the field twins={'jax': …} that twin-jax needs"),
        ((FORMATS, "test_other.py"), "", "no case was collected. A case file is a .py file"),
        # What is collected and not selected is there.
        ((FORMATS, "-k", "onnx"), "", ""),
        ((FORMATS, "-m", "format_onnx"), "", ""),
        ((FORMATS, "--deselect=cases/cpp"), "", ""),
        ((FORMATS, "--modelconform-shard=1/40"), "", ""),
        ((FORMATS, "--modelconform-shard=1/40", "cases/plain.py"), "", f"format state-dict {NO_CPP}"),
        ((FORMATS, "cases/plain.py::plain[onnx-ort-cpu]"), "", ""),
        ((FORMATS, "--collect-only", "cases/plain.py"), "", f"format state-dict {NO_CPP}"),
        # The ini file, and addopts, are about the project: part of it may have none.
        ((), INI, ""),
        (("cases/plain.py",), INI, ""),
        (("test_other.py",), INI, ""),
        (("cases/plain.py",), "addopts = --modelconform-formats=onnx,state-dict\n", ""),
        (("--ignore=cases/cpp",), INI, f"format state-dict {NO_CPP}"),
        (("--ignore=cases/cpp", "."), INI, ""),
        (("--modelconform-formats=onnx",), "modelconform_require = openvino\nmodelconform_runtimes=ort\n", ""),
        (("--modelconform-runtimes=ort", "--modelconform-require=openvino"), "", REQUIRED),
        (("--modelconform-runtimes=ort",), "modelconform_require = openvino\n", ""),
        ((), "modelconform_require = executorch\n", "--modelconform-require executorch has no cell"),
        (("--modelconform-require=cpp-frontend", "cases/plain.py"), "", CPP_REQUIRED),
    ],
)  # fmt: skip
def test_what_was_named(start: Start, arguments: tuple[str, ...], ini: str, message: str) -> None:
    ended(start(*arguments, ini=ini), message)


def test_the_ini_file_where_all_case_files_are_collected(start: Start, pytester: pytest.Pytester) -> None:
    (pytester.path / "cases" / "cpp" / "written.py").unlink()
    ended(start("cases/plain.py", ini=INI), f"format state-dict {NO_CPP}")
    ended(start("test_other.py", ini=INI), "")


def test_what_was_named_and_has_failed_is_not_collected_again(start: Start) -> None:
    line = ("--modelconform-formats=onnx,state-dict", "--modelconform-require=ort", "--lf")
    ended(start(*line, "--collect-only"), "")


def test_in_a_folder_below_the_root(start: Start) -> None:
    ended(start(cwd="cases/cpp", ini=INI), "")
    ended(start(FORMATS, cwd="cases/cpp"), "")
    ended(start("--modelconform-formats=twin-jax", cwd="cases/cpp"), "has the field twins={'jax': …}")


@pytest.mark.parametrize(
    ("arguments", "ini", "message"),
    [
        # One format that has no cell is a shard's below.
        (("cases/plain.py",), INI, ""),
        (("--modelconform-require=cpp-frontend", "cases/plain.py"), "", CPP_REQUIRED),
    ],
)
def test_with_xdist(start: Start, arguments: tuple[str, ...], ini: str, message: str) -> None:
    ended(start("-n", "2", *arguments, ini=ini), message)


@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["one", "n2"])
def test_a_shard_that_ends_so_leaves_no_log(
    start: Start, pytester: pytest.Pytester, processes: tuple[str, ...]
) -> None:
    path = pytester.path / "shard.jsonl"
    arguments = (FORMATS, "--modelconform-shard=1/2", f"--modelconform-log={path}", "cases/plain.py")
    ended(start(*processes, *arguments), f"format state-dict {NO_CPP}")
    assert not path.exists()


def test_a_file_that_can_not_be_collected_says_so_itself(start: Start, pytester: pytest.Pytester) -> None:
    (pytester.path / "cases" / "cpp" / "written.py").write_text("import pytest_modelconform\n1 / 0\n")
    result = start(FORMATS)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "ZeroDivisionError" in result.stdout.str()


def test_a_named_format_brings_its_runtime_and_runs_there(start: Start, pytester: pytest.Pytester) -> None:
    conftest = f"""{fakes.CONFTEST}
import sys
import types

module = types.ModuleType("own_runtime")
vars(module).update(NAME="own", FORMATS=("stablehlo",), REQUIRES=("no-such-package>=3",), command=lambda *_: [])
sys.modules["own_runtime"] = module


def pytest_modelconform_register(registry):
    registry.add_runtime("own", "own_runtime")
"""
    (pytester.path / "conftest.py").write_text(conftest)
    result = start("--modelconform-formats=onnx,stablehlo", "--collect-only", "-q", "cases/plain.py")
    ended(result, "")
    found = [line.rpartition("::")[2] for line in result.outlines if "::" in line]
    assert found[1:] == [
        *(f"plain[onnx-{name}-cpu]" for name in ("ort", "ort_cpp", "openvino", "openvino_cpp")),
        *(f"plain[stablehlo-{name}-cpu]" for name in ("jax", "own")),
    ]
    header = start("--modelconform-formats=stablehlo", "--collect-only", "cases/plain.py")
    assert "modelconform: stablehlo in jax, own on cpu" in header.outlines


def test_one_case_file_is_named_with_the_root_elsewhere(start: Start, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder: Path = tmp_path_factory.mktemp("elsewhere")
    (folder / "net.py").write_text(HERE)
    ended(start(FORMATS, str(folder / "net.py")), f"format state-dict {NO_CPP}")
