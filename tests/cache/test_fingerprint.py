"""What is a part of every key: the environment, and each module of ours that makes what is cached."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_modelconform
from pytest_modelconform.cache.fingerprint import NOT_IN_KEYS, own_sources
from pytest_modelconform.cells.registry import Registry, register_built_in
from tests.support import runs

PACKAGE = Path(pytest_modelconform.__file__).parent


def fingerprint_of(python: str = sys.executable, **env: str) -> str:
    line = [python, "-c", "from pytest_modelconform.cache.fingerprint import fingerprint; print(fingerprint())"]
    # Elsewhere: what lies in the current folder comes first.
    done = subprocess.run(
        line, env={**os.environ, **env}, cwd=sys.prefix, capture_output=True, check=True, encoding="utf-8"
    )
    return done.stdout


def test_the_fingerprint(tmp_path: Path) -> None:
    path = {"PYTHONPATH": str(tmp_path)}
    first = fingerprint_of(**path)
    assert fingerprint_of(**path) == first
    assert fingerprint_of(**path, OMP_NUM_THREADS="7", HOME="/elsewhere") != first
    assert fingerprint_of(**path, HOME="/elsewhere") == first
    # What the pytest process itself computes with; all other packages are in records (workers/lookups.py).
    for name, differs in (("fakepkg", False), ("numpy", True)):
        (tmp_path / f"{name}-1.0.dist-info").mkdir()
        (tmp_path / f"{name}-1.0.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
        assert (fingerprint_of(**path) != first) is differs


def test_python_is_known_by_its_folder_whatever_its_name() -> None:
    names = {
        path for path in Path(sys.prefix, "bin").glob("python*") if path.resolve() == Path(sys.executable).resolve()
    }
    assert len(names) > 1
    assert len({fingerprint_of(python=str(path)) for path in names}) == 1


# -- our own modules ---------------------------------------------------------------------------------------------------


def test_every_module_is_part_of_every_key_but_those_of_named_folders() -> None:
    hashed = set(own_sources())
    left_out = {path for path in PACKAGE.rglob("*.py") if path not in hashed}
    assert {path.relative_to(PACKAGE).parts[0] for path in left_out} <= set(NOT_IN_KEYS)
    assert {path.parent.name for path in hashed} >= {"compare", "formats", "workers", "host"}


# What the case host does for a case, and the pytest process with what it left: all that is cached is made so.
MAKE = """
import importlib, json, pathlib, sys, warnings

import msgspec

warnings.simplefilter("ignore")
from pytest_modelconform.references import from_runs, training
from pytest_modelconform.references.content import InferenceAnswer
from pytest_modelconform.workers.host.host import Host

folder = pathlib.Path(sys.argv[1])
case = {"file": str(folder / "plain.py"), "relative": "plain.py"}
host = Host()
host.collect(case)
content = host.reference({**case, "case": "plain", "folder": str(folder)})
from_runs.make(folder, msgspec.convert(content, InferenceAnswer))
for module in sys.argv[2:]:
    importlib.import_module(module)
found = [m.__file__ for name, m in sys.modules.items() if name.startswith("pytest_modelconform") and m.__file__]
print(json.dumps(found))
"""


def test_whatever_is_imported_to_make_what_is_cached_is_part_of_every_key(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(runs.PLAIN)
    registry = Registry()
    register_built_in(registry)
    exporters = {module for name in registry.formats for module in registry.format(name).FRAMEWORKS.values()}
    line = [sys.executable, "-c", MAKE, str(tmp_path), *sorted(exporters)]
    done = subprocess.run(line, capture_output=True, encoding="utf-8", check=True)
    imported = {Path(path) for path in json.loads(done.stdout.splitlines()[-1])}
    assert {path.relative_to(PACKAGE).parts[0] for path in imported} >= {"compare", "formats", "references", "workers"}
    assert imported <= set(own_sources())


@pytest.mark.parametrize(
    ("edited", "voids"),
    [
        ("commands/diff.py", False),
        ("report/matrix.py", False),
        ("compare/measure.py", True),
        ("formats/onnx.py", True),
        ("references/from_runs.py", True),
        ("terms/case.py", True),
        ("workers/host/references/runs.py", True),
    ],
)
def test_an_edit_voids_what_it_may_have_changed(edited: str, voids: bool, tmp_path: Path) -> None:
    package = tmp_path / "pytest_modelconform"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "_cpp"))
    before = fingerprint_of(PYTHONPATH=str(tmp_path))
    with (package / edited).open("a") as file:
        file.write("# edited\n")
    assert (fingerprint_of(PYTHONPATH=str(tmp_path)) != before) is voids
