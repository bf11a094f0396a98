"""Where other Pythons are found, and what is said where there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_modelconform.environments import interpreters

OTHER = "2.99"


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    interpreters.find.cache_clear()
    yield
    interpreters.find.cache_clear()


def fake(path: Path, version: str) -> Path:
    """A program that answers as a Python of a version would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


def test_the_running_version_is_the_running_installation() -> None:
    found = interpreters.find("")
    assert found is not None
    assert found == interpreters.find(interpreters.running())
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert interpreters.lacking("") is None


def test_none() -> None:
    assert interpreters.find(OTHER) is None
    assert interpreters.lacking(OTHER) == (
        "needs Python 2.99: uv python install 2.99, or pyenv install 2.99, or its path in MODELCONFORM_PYTHON_2_99"
    )


def test_pyenvs_newest_patch_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for patch in (2, 10, 9):
        fake(tmp_path / "versions" / f"{OTHER}.{patch}" / "bin" / f"python{OTHER}", f"{OTHER}.{patch}")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    found = interpreters.find(OTHER)
    assert found is not None
    assert found.version == "2.99.10"


def test_path_without_shims(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A shim fails unless its version is switched on; here it would be taken if it were asked.
    fake(tmp_path / "shims" / f"python{OTHER}", f"{OTHER}.1")
    real = fake(tmp_path / "bin" / f"python{OTHER}", f"{OTHER}.7")
    monkeypatch.setenv("PATH", f"{tmp_path / 'shims'}:{real.parent}:/usr/bin:/bin")
    assert interpreters.find(OTHER) == interpreters.Interpreter(str(real), "2.99.7")


def test_one_that_makes_no_environments_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # As Debian's without python3-venv: the question ends with an ImportError.
    broken = tmp_path / "bin" / f"python{OTHER}"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:/usr/bin:/bin")
    assert interpreters.find(OTHER) is None


def test_a_given_path_counts_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = fake(tmp_path / "own", f"{OTHER}.3")
    fake(tmp_path / "versions" / f"{OTHER}.9" / "bin" / f"python{OTHER}", f"{OTHER}.9")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("MODELCONFORM_PYTHON_2_99", str(given))
    assert interpreters.find(OTHER) == interpreters.Interpreter(str(given), "2.99.3")
    interpreters.find.cache_clear()
    given.write_text("#!/bin/sh\necho 3.1.4\n")
    assert interpreters.find(OTHER) is None
    assert str(interpreters.lacking(OTHER)).startswith(
        f"needs Python 2.99 with venv, and $MODELCONFORM_PYTHON_2_99 ({given}) isn't one"
    )
