"""Whether what a process looked for among the installed packages would be found today, and nothing else matters."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.workers import lookups

WATCHED = Path(lookups.__file__).parent
# Imports one package, looks for others in vain, asks for the version of a third, and prints the record.
LOOKS = """
import json, sys
sys.path.insert(0, sys.argv[1])
import lookups
lookups.watch()
import importlib.metadata, importlib.util
import imported
assert importlib.util.find_spec("found_only")
for name in ("absent", "space.absent"):
    try:
        __import__(name)
    except ImportError:
        pass
for name in ("versioned", "not-there"):
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(lookups.record()))
"""


def install(site: Path, name: str, version: str = "1.0", module: str = "", entry_points: str = "") -> None:
    """What pip leaves of a package of one module. module: its path, NAME.py unless given."""
    file = site / (module or f"{name}.py")
    file.parent.mkdir(exist_ok=True)
    file.touch()
    metadata = site / f"{name}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    (metadata / "RECORD").write_text(f"{file.relative_to(site)},,\n{metadata.name}/RECORD,,\n")
    if entry_points:
        (metadata / "entry_points.txt").write_text(entry_points)


def upgrade(site: Path, name: str) -> None:
    (site / f"{name}-1.0.dist-info").rename(site / f"{name}-1.1.dist-info")


def reinstall(site: Path, name: str) -> None:
    """The same version with another content, as of a project of one's own."""
    metadata = site / f"{name}-1.0.dist-info"
    listed = (metadata / "RECORD").read_text().replace(".py,,", ".py,sha256=abc,10")
    shutil.rmtree(metadata)
    metadata.mkdir()
    (metadata / "RECORD").write_text(listed)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name in ("imported", "found_only", "versioned", "unasked", "nvidia_cudnn"):
        install(tmp_path, name)
    install(tmp_path, "space-one", module="space/one.py")
    return tmp_path


def looked(site: Path) -> dict[str, Any]:
    """The record of a process that has looked for some of the packages."""
    line = [sys.executable, "-c", LOOKS, str(WATCHED)]
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(line, env=env, capture_output=True, encoding="utf-8", check=True)
    record: dict[str, Any] = json.loads(done.stdout)
    return record


CHANGES = {
    "nothing": (lambda site: None, True),
    "a package that nobody asked for": (lambda site: install(site, "another"), True),
    "another version of one": (lambda site: upgrade(site, "unasked"), True),
    "another module in a namespace": (lambda site: install(site, "space-two", module="space/two.py"), True),
    "an entry point that no framework loads": (
        lambda site: install(site, "another", entry_points="[console_scripts]\na = b:c\n"), True
    ),
    "the same version of one with other files": (lambda site: reinstall(site, "unasked"), True),
    "the same version of what was imported with other files": (lambda site: reinstall(site, "imported"), False),
    "another version of what was imported": (lambda site: upgrade(site, "imported"), False),
    "another version of what was only found": (lambda site: upgrade(site, "found_only"), False),
    "another version of what was asked for its version": (lambda site: upgrade(site, "versioned"), False),
    "what was imported is gone": (lambda site: (site / "imported.py").unlink(), False),
    "what was looked for in vain": (lambda site: install(site, "absent"), False),
    "a submodule that was looked for in vain": (lambda site: install(site, "more", module="space/absent.py"), False),
    "a version that was asked for in vain": (lambda site: install(site, "not_there", module="elsewhere.py"), False),
    "one whose metadata alone are here, as of an editable one": (
        lambda site: (site / "absent-1.0.dist-info").mkdir(), False
    ),
    "what a framework loads by itself": (
        lambda site: install(site, "another", entry_points="[torch.backends]\na = b:c\n"), False
    ),
    "a library that is loaded without an import": (lambda site: upgrade(site, "nvidia_cudnn"), False),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_record_holds_until_an_answer_changes(change: str, site: Path) -> None:
    record = looked(site)
    assert lookups.unchanged(record)
    make, holds = CHANGES[change]
    make(site)
    assert lookups.unchanged(record) is holds


def test_what_shadows_a_package_is_seen(site: Path) -> None:
    found = looked(site)
    earlier = site / "earlier"
    earlier.mkdir()
    record = {**found, "path": [str(earlier), *found["path"]]}
    record["modules"] = {name: place + 1 if place >= 0 else place for name, place in found["modules"].items()}
    assert lookups.unchanged(record)
    (earlier / "imported.py").touch()
    assert not lookups.unchanged(record)


@pytest.mark.parametrize("change", [upgrade, reinstall])
def test_what_nobody_watched_depends_on_everything(
    change: Callable[[Path, str], None], site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(site)])
    record = lookups.everything()
    assert lookups.unchanged(record)
    change(site, "unasked")
    assert not lookups.unchanged(record)


def test_what_is_installed_again_is_not_what_a_process_has_imported(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(site)])
    before = lookups.everything()
    reinstall(site, "imported")
    # It goes on with the modules that it has, so that the next run has to make anew what this one makes.
    assert lookups.everything() == before
    assert not lookups.unchanged(before)


@pytest.mark.parametrize("record", [{}, {"path": 3}, {"path": [], "modules": {}}, {"path": [], "all": 3}])
def test_a_record_of_another_shape_does_not_hold(record: dict[str, Any]) -> None:
    assert not lookups.unchanged(record)
