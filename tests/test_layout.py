"""The house: folders with a purpose each, imports that only run downward, and names in strings that exist."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_modelconform

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGE = Path(pytest_modelconform.__file__).parent
ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SOURCES = [path for path in sorted(PACKAGE.rglob("*.py")) if "_cpp" not in path.parts]
FOLDERS = [path.parent for path in PACKAGE.glob("*/__init__.py")]


def strings(path: Path) -> Iterator[str]:
    return (
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_the_top_has_few_entries_and_each_folder_says_what_it_is_for() -> None:
    entries = [path.name for path in PACKAGE.iterdir() if path.name not in ("__pycache__", "_cpp")]
    assert len(entries) <= 22
    for folder in FOLDERS:
        purpose = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
        assert purpose, folder
        assert purpose.splitlines()[0].endswith((".", "?")), folder


def test_imports_run_downward_only_and_in_no_loop() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kept, 0 broken" in done.stdout


def test_all_folders_stand_in_the_layers() -> None:
    layers = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    assert sorted(name.strip() for layer in layers for name in layer.split("|")) == sorted(f.name for f in FOLDERS)


def test_nothing_inside_imports_the_package_itself() -> None:
    """That would be a loop which no layer shows: `__init__` imports from terms/."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                up = len(path.relative_to(PACKAGE).parts)
                assert not (node.level == up and node.module is None and _is_root(node)), f"{path}:{node.lineno}"
                assert node.module != "pytest_modelconform", f"{path}:{node.lineno}"


def _is_root(node: ast.ImportFrom) -> bool:
    """Whether an import takes something of the package's `__init__` rather than one of its folders."""
    return not all((PACKAGE / alias.name).is_dir() for alias in node.names)


NAMED = sorted(
    {text for path in SOURCES for text in strings(path) if re.fullmatch(r"pytest_modelconform(\.\w+)+", text)}
)


@pytest.mark.parametrize("name", NAMED)
def test_a_module_that_a_string_names_exists(name: str) -> None:
    assert importlib.util.find_spec(name) is not None


def test_there_are_modules_that_strings_name() -> None:
    assert len(NAMED) > 60


@pytest.mark.parametrize("target", [*PROJECT["project"]["scripts"].values()])
def test_the_commands_exist(target: str) -> None:
    module, _, function = target.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))])
def test_what_the_docs_name_exists(path: Path) -> None:
    text = path.read_text()
    for name in re.findall(r"`((?:pytest_modelconform|tests|cpp|benchmarks)/[\w./-]*\w)`", text):
        assert (ROOT / name).exists(), name
    # Modules are named by their folder: `cells/attempt.py`.
    for name in re.findall(r"`((?:[a-z_]+/)+[a-z_0-9]+\.(?:py|mjs))`", text):
        if name.partition("/")[0] in {folder.name for folder in FOLDERS}:
            assert (PACKAGE / name).exists(), name
