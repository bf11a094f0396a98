"""Without --modelconform the plugin is not there; with it, pytest's process stays without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import fakes, runs


def python(text: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=folder, env=os.environ, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_plugin_imports_neither_torch_nor_numpy(tmp_path: Path) -> None:
    text = "import sys, pytest_modelconform.plugin; print(sorted({'torch', 'numpy', 'filelock'} & set(sys.modules)))"
    assert python(text, tmp_path) == "[]\n"


def test_what_a_case_author_imports_does_neither(tmp_path: Path) -> None:
    text = "import sys, pytest_modelconform as m; m.Case; print({'torch', 'numpy', 'pytest'} & set(sys.modules))"
    assert python(text, tmp_path) == "set()\n"


def test_an_empty_folder_without_the_option(tmp_path: Path) -> None:
    text = (
        "import sys, pytest; status = pytest.main(['--collect-only', '-q']); "
        "assert status == 5, status; "
        "mine = sorted(name for name in sys.modules if name.startswith('pytest_modelconform')); "
        "print(sorted({'torch', 'numpy'} & set(sys.modules)), mine)"
    )
    words = python(text, tmp_path).splitlines()[-1]
    # The option's parser, the hooks, and what `Case` is, each with its folder's sentence; nothing that does work.
    mine = ["cells", "cells.settings", "plugin", "plugin.blame_option", "plugin.export_options", "plugin.hookspecs"]
    mine += ["plugin.options", *(f"terms{name}" for name in ("", ".case", ".exports", ".operators", ".sequence"))]
    mine.append("terms.version")
    assert words == f"[] {['pytest_modelconform', *(f'pytest_modelconform.{name}' for name in mine)]}"


def test_case_files_collect_nothing_without_the_option(project: Path, pytester: pytest.Pytester) -> None:
    for source in project.glob("*.py"):
        if source.name != "conftest.py":
            (pytester.path / source.name).write_text(source.read_text())
    pytester.path.joinpath("expected.toml").write_text("nonsense")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "modelconform:" not in result.stdout.str()


def test_other_tests_run_beside_the_cells(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_other="def test_other():\n    pass\n")
    pytester.runpytest_inprocess("--modelconform").assert_outcomes(passed=1)


NO_TORCH = f"""{fakes.CONFTEST}

def pytest_sessionfinish():
    found = sorted(dict.fromkeys(name.partition(".")[0] for name in sys.modules) & {{"torch": 0, "onnx": 0}}.keys())
    assert not found, found
    print("SESSION WITHOUT TORCH")
"""


@pytest.mark.parametrize("processes", [0, 2])
def test_a_run_imports_no_torch_and_warns_of_nothing(tmp_path: Path, processes: int) -> None:
    # A case that is not in the cache: collected, built, compared with, exported.
    runs.write(tmp_path, {"plain.py": runs.PLAIN, "conftest.py": NO_TORCH})
    options = ["-W", "error", "--strict-markers", "--strict-config", "-s"]
    run = runs.run(tmp_path, "-n", str(processes), *options)
    assert run.status == 0, run.stdout
    assert "SESSION WITHOUT TORCH" in run.stdout
    assert {cell["verdict"] for cell in run.cells.values()} == {"pass"}
    # With two processes, the other one may have made the reference first.
    assert {cell["cached"] for name, cell in run.cells.items() if "eager" not in name} == {False}
    assert "warning" not in run.stdout.lower()
    assert not any("reference" in path.name for path in tmp_path.iterdir())


def test_without_a_cache_plugin_the_log_is_in_our_cache(project: Path, cache: Path) -> None:
    run = runs.run(project, "-n", "0", "-p", "no:cacheprovider", "plain.py")
    assert run.status == 0
    assert f"log: {cache / 'logs'}" in run.stdout


def test_the_hook_is_declared() -> None:
    from pytest_modelconform import plugin
    from pytest_modelconform.plugin import hookspecs

    hooks = [name for name in vars(hookspecs) if name.startswith("pytest_")]
    assert hooks == ["pytest_modelconform_register"]
    assert all(hasattr(plugin, name) for name in hooks)
    assert all(vars(hookspecs)[name].__doc__ for name in hooks)
