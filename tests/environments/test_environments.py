"""Isolated environments: made once, tried out, mended, and what is said where one can't be made."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_modelconform import environments
from pytest_modelconform.cache.made_once import log_of
from pytest_modelconform.environments import Environment, EnvironmentFault, interpreters, uv

pytestmark = pytest.mark.installs

# What pip installs from a folder: no network, no build back end.
WHEEL = "modelconform_probe-{}-py3-none-any.whl"


@pytest.fixture
def wheel(tmp_path: Path) -> str:
    """A requirement on a package of one constant."""
    path = tmp_path / WHEEL.format("1.5")
    info = "modelconform_probe-1.5.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("modelconform_probe.py", "VALUE = 7\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: modelconform-probe\nVersion: 1.5\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return f"modelconform-probe @ {path.as_uri()}"


@pytest.fixture
def small(wheel: str) -> Environment:
    return Environment("small", (wheel,), check="import modelconform_probe as p; assert p.VALUE == 7")


def says(python: str, code: str) -> str:
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_it_is_made_once_and_has_what_it_needs(small: Environment, tmp_path: Path) -> None:
    lines: list[str] = []
    python = environments.python(small, tmp_path, lines.append)
    assert (
        says(python, "import modelconform_probe, sys; print(modelconform_probe.VALUE, sys.prefix != sys.base_prefix)")
        == "7 True"
    )
    head = f"installing the environment small (Python {interpreters.running()}, once)"
    tool = "uv pip" if uv.find(environments.surroundings()) else "pip"
    assert lines == [f"{head}: a virtual environment …", f"{head}: {tool} install …", f"{head}: trying it out …"]
    folder = environments.path_of(small, tmp_path)
    said = environments.describe(folder)
    assert (said["name"], said["requirements"]) == ("small", list(small.requirements))
    # With uv it has no pip of its own.
    assert said["bytes"] > 10_000
    assert environments.python(small, tmp_path, lines.append) == python
    assert len(lines) == 3


def test_of_several_at_once_one_makes_it(small: Environment, tmp_path: Path) -> None:
    lines: list[str] = []
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(environments.python(small, tmp_path, lines.append)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 3
    assert sum("pip install" in line for line in lines) == 1


def test_all_that_decides_what_is_in_it_is_in_its_name(small: Environment, tmp_path: Path) -> None:
    others = [replace(small, requirements=()), replace(small, check="pass"), replace(small, name="other")]
    names = {environments.path_of(environment, tmp_path).name for environment in (small, *others)}
    assert len(names) == 4
    # What it is called takes no part in what is in it, but two may not share a folder.
    assert environments.path_of(replace(small, megabytes=9), tmp_path) == environments.path_of(small, tmp_path)


def test_a_half_made_one_is_made_anew(small: Environment, tmp_path: Path) -> None:
    folder = environments.path_of(small, tmp_path)
    (folder / "venv" / "bin").mkdir(parents=True)
    (folder / "venv" / "bin" / "python").write_text("cut off")
    lines: list[str] = []
    python = environments.python(small, tmp_path, lines.append)
    assert says(python, "import modelconform_probe as p; print(p.VALUE)") == "7"
    assert (
        lines[0]
        == f"the environment small is incomplete, or its Python {interpreters.running()} is gone: it is made anew …"
    )


def test_one_that_lost_its_interpreter_is_made_anew(small: Environment, tmp_path: Path) -> None:
    python = Path(environments.python(small, tmp_path, lambda line: None))
    python.unlink()
    python.symlink_to(tmp_path / "gone")
    assert not environments.is_complete(environments.path_of(small, tmp_path))
    assert says(environments.python(small, tmp_path, lambda line: None), "print(1)") == "1"


def test_what_pip_says_is_the_message_and_nothing_is_left(tmp_path: Path) -> None:
    environment = Environment("absent", (f"modelconform-probe @ {(tmp_path / 'none-1.0-py3-none-any.whl').as_uri()}",))
    with pytest.raises(EnvironmentFault) as fault:
        environments.python(environment, tmp_path, lambda line: None)
    text = str(fault.value)
    assert text.startswith("the environment absent can't be installed: pip install ended with status 1\n")
    assert "none-1.0-py3-none-any.whl" in text
    folder = environments.path_of(environment, tmp_path)
    assert text.endswith(f"full log: {folder}.log")
    assert Path(f"{folder}.log").is_file()
    assert not folder.exists()
    # Not tried twice: that would cost every cell minutes.
    lines: list[str] = []
    with pytest.raises(EnvironmentFault, match="absent can't be installed"):
        environments.python(environment, tmp_path, lines.append)
    assert lines == []


def test_one_that_fails_its_check_is_not_there(small: Environment, tmp_path: Path) -> None:
    environment = replace(small, check="import modelconform_probe as p; assert p.VALUE == 8, 'another value'")
    with pytest.raises(EnvironmentFault, match="trying it out ended with status 1") as fault:
        environments.python(environment, tmp_path, lambda line: None)
    assert "another value" in str(fault.value)
    assert environments.installed(tmp_path) == []


def test_the_users_packages_stay_out(small: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "modelconform_probe.py").write_text("VALUE = 9\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "foreign"))
    environments.python(small, tmp_path, lambda line: None)
    assert "PYTHONPATH" not in environments.surroundings()
    assert environments.surroundings({"PIP_TARGET": "x", "HOME": "y"}) == {"HOME": "y"}


def test_without_its_interpreter_it_is_unavailable(tmp_path: Path) -> None:
    environment = Environment("old", python="2.99")
    assert str(environments.unavailable(environment)).startswith("needs Python 2.99: uv python install 2.99")
    with pytest.raises(EnvironmentFault, match="the environment old needs Python"):
        environments.install(environment, tmp_path, lambda line: None)


def test_remove(small: Environment, tmp_path: Path) -> None:
    folder = environments.install(small, tmp_path, lambda line: None)
    assert environments.installed(tmp_path) == [folder]
    environments.remove(folder)
    assert environments.installed(tmp_path) == []
    assert not log_of(folder).exists()


def test_an_interrupted_installation_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C while pip runs: the folder goes, and so does pip."""
    code = f"""
from pathlib import Path
from pytest_modelconform import environments
from pytest_modelconform.environments import Environment
slow = Environment("slow", check="import time; time.sleep(600)")
environments.install(slow, Path({json.dumps(str(tmp_path))}), lambda line: print(line, flush=True))
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while "trying it out" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in err
    assert environments.installed(tmp_path) == []


def test_a_complete_one_gets_nothing_but_what_is_named(tmp_path: Path) -> None:
    path = tmp_path / WHEEL.format("1.5")
    info = "modelconform_probe-1.5.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("modelconform_probe.py", "VALUE = 7\n")
        needs = "Requires-Dist: modelconform-nobody-has==9\n"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: modelconform-probe\nVersion: 1.5\n{needs}")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    whole = Environment("whole", (str(path),), check="import modelconform_probe", complete=True)
    environments.install(whole, tmp_path, lambda line: None)
    with pytest.raises(EnvironmentFault, match="modelconform-nobody-has"):
        environments.install(replace(whole, complete=False), tmp_path, lambda line: None)


def test_one_beside_ours_sees_its_own_packages_first_and_then_ours(wheel: str, tmp_path: Path) -> None:
    beside = Environment("beside", (wheel,), check="import modelconform_probe, numpy", beside=True)
    python = environments.python(beside, tmp_path, lambda line: None)
    import numpy as np

    code = "import modelconform_probe as p, numpy; print(p.VALUE, numpy.__file__)"
    assert says(python, code) == f"7 {np.__file__}"
    alone = environments.python(replace(beside, check="", beside=False), tmp_path, lambda line: None)
    with pytest.raises(subprocess.CalledProcessError):
        says(alone, "import numpy")
