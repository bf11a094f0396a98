"""Isolated environments: what a runtime or a format needs that can't live beside everything else.

Another Python, other versions of packages, or Node's packages. An environment is a folder in the cache, named after a
hash of all that decides what is in it; it is made on first use (or by `modelconform env install`), by one process while
the others wait, tried out, and only then marked as complete. One that isn't complete, or has lost its interpreter, is
made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cache.made_once import BuildError, Progress, log_of, made_once, run_all
from ..terms.core_seconds import INSTALL
from . import interpreters, node_tools, uv

# Written last: a folder without it was left half-made.
MARK = "environment.json"
FOLDER = "environments"
# Variables with which a user's shell would reach into an environment.
_FOREIGN = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSAFEPATH",
    "PIP_TARGET",
    "PIP_USER",
    "PIP_PREFIX",
    "PIP_REQUIRE_VIRTUALENV",
)


class EnvironmentFault(BuildError):
    """An environment could not be made; the message holds what pip or npm said."""


@dataclass(frozen=True)
class Environment:
    """What has to be installed.

    requirements: for pip, each pinned exactly. python: the wanted version ("3.8"); "" is that of the running
    interpreter. npm: a folder with package.json and package-lock.json, for an environment of Node's packages instead.
    check: statements that are run once after installing (Python, or an ES module of JavaScript); failing is the
    environment's fault. megabytes: what it takes on disk, about.
    complete: `requirements` are all that is installed: pip is told not to look for what these need. beside: after its
    own packages it sees those of the running interpreter, whose version its Python then has to be.
    """

    name: str
    requirements: tuple[str, ...] = ()
    python: str = ""
    npm: Path | None = None
    check: str = ""
    megabytes: int = 0
    complete: bool = False
    beside: bool = False

    def pins(self) -> list[str]:
        """What is installed, as `name==version`."""
        if self.npm is None:
            return list(self.requirements)
        found: dict[str, str] = json.loads((self.npm / "package.json").read_text())["dependencies"]
        return [f"{name}=={version}" for name, version in found.items()]

    def versions(self) -> dict[str, str]:
        """Those of its packages whose version is fixed."""
        return dict(word.split("==", 1) for word in self.pins() if "==" in word)

    @property
    def made_with(self) -> str:
        """In words, for progress lines and lists."""
        return "Node" if self.npm is not None else f"Python {self.python or interpreters.running()}"


# ---- What is there ---------------------------------------------------------------------------------------------------


def unavailable(environment: Environment) -> str | None:
    """None if the environment is there or can be made, else a sentence that says what to do. Installs nothing."""
    if sys.platform == "win32":
        return "environments are made on Linux and macOS only"
    if environment.npm is not None:
        found = node_tools.find()
        return found if isinstance(found, str) else None
    return interpreters.lacking(environment.python)


def path_of(environment: Environment, cache: Path) -> Path:
    """Where the environment is, or will be. Raises EnvironmentFault if there is nothing to make it with."""
    if reason := unavailable(environment):
        raise EnvironmentFault(f"the environment {environment.name} {reason}")
    return cache / FOLDER / f"{environment.name}-{_key(environment)}"


def is_complete(folder: Path) -> bool:
    """Whether the environment in a folder was made to its end and still has what runs it."""
    said = describe(folder)
    return bool(said) and Path(folder, str(said.get("runs", ""))).exists()


def describe(folder: Path) -> dict[str, Any]:
    """What was written when the environment in a folder was complete; empty if it isn't."""
    try:
        said = json.loads((folder / MARK).read_text())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _key(environment: Environment) -> str:
    made_of: list[Any] = [environment.requirements, environment.check, platform.machine(), sys.platform]
    if environment.npm is not None:
        tools = _node()
        made_of += [
            tools.version,
            *((environment.npm / name).read_text() for name in ("package.json", "package-lock.json")),
        ]
    else:
        python = interpreters.find(environment.python)
        assert python is not None  # unavailable() has seen to it
        made_of += [python.version, python.path]
        if environment.complete or environment.beside:
            made_of += [environment.complete, _site_packages() if environment.beside else []]
    return hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]


def _node() -> node_tools.NodeTools:
    found = node_tools.find()
    if isinstance(found, str):
        raise EnvironmentFault(found)
    return found


# ---- Using one -------------------------------------------------------------------------------------------------------


def python(environment: Environment, cache: Path, progress: Progress) -> str:
    """The environment's interpreter; installs on first use. Raises EnvironmentFault."""
    return str(install(environment, cache, progress) / "venv" / "bin" / "python")


def node(environment: Environment, cache: Path, progress: Progress) -> tuple[str, Path]:
    """Node, and the folder of the environment's node_modules; installs on first use. Raises EnvironmentFault."""
    return _node().node, install(environment, cache, progress)


def install(environment: Environment, cache: Path, progress: Progress) -> Path:
    """The environment's folder, made if it isn't there. Any number of processes may call this at once.

    Raises EnvironmentFault.
    """

    def make(folder: Path) -> None:
        _make(environment, folder, progress)

    waiting = f"waiting for another process that installs the environment {environment.name}"
    # In place, since what is in it knows where it is.
    folder = path_of(environment, cache)
    return made_once(folder, make, progress, waiting, is_complete, in_place=True, fault=EnvironmentFault)


def _make(environment: Environment, folder: Path, progress: Progress) -> None:
    if folder.exists():
        lost = f"is incomplete, or its {environment.made_with} is gone"
        progress(f"the environment {environment.name} {lost}: it is made anew …")
        shutil.rmtree(folder)
    folder.mkdir()
    size = f", about {environment.megabytes} MB" if environment.megabytes else ""
    head = f"installing the environment {environment.name} ({environment.made_with}{size}, once)"
    begin = time.monotonic()
    try:
        _install(environment, folder, lambda what: progress(f"{head}: {what} …"))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    said = {
        "name": environment.name,
        "made_with": environment.made_with,
        "requirements": list(environment.requirements),
        "runs": "node_modules" if environment.npm is not None else "venv/bin/python",
        "seconds": round(time.monotonic() - begin, 1),
        "bytes": _size(folder),
    }
    partial = folder / f"{MARK}.partial"
    partial.write_text(json.dumps(said, indent=1))
    partial.rename(folder / MARK)


def _install(environment: Environment, folder: Path, progress: Progress) -> None:
    """By uv, where it is there and succeeds; else by pip, whose words say why it can't be done."""
    found = uv.find(surroundings()) if environment.npm is None else None
    if found is not None:
        with contextlib.suppress(EnvironmentFault):
            _run(environment, folder, progress, found)
            return
        shutil.rmtree(folder / "venv", ignore_errors=True)
    _run(environment, folder, progress, None)


def _run(environment: Environment, folder: Path, progress: Progress, found: uv.Uv | None) -> None:
    """Run all commands. Raises EnvironmentFault at the first that fails."""

    def steps() -> Iterator[tuple[str, list[str]]]:
        for what, command in _commands(environment, folder, found):
            progress(what)
            yield what, command

    variables = {**surroundings(), **(found.variables if found else {})}
    head = f"the environment {environment.name} can't be installed"
    run_all(steps(), variables, log_of(folder), head, folder, EnvironmentFault, INSTALL)


def _commands(environment: Environment, folder: Path, found: uv.Uv | None) -> Iterator[tuple[str, list[str]]]:
    """What to run, in order, and what that is called."""
    if environment.npm is not None:
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(environment.npm / name, folder / name)
        tools = _node()
        # No package's own scripts: what they would download, a locked-down machine has not, and they run as the user.
        yield "npm ci", [*tools.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"]
        if environment.check:
            yield "trying it out", [tools.node, "--input-type=module", "--eval", environment.check]
        return
    base = interpreters.find(environment.python)
    assert base is not None  # unavailable() has seen to it
    own = str(folder / "venv" / "bin" / "python")
    venv = [base.path, "-I", "-m", "venv", str(folder / "venv")]
    yield "a virtual environment", found.venv(base.path, folder / "venv") if found else venv
    if environment.requirements:
        quiet = ["--disable-pip-version-check", "--no-input", "--no-warn-script-location"]
        install = found.install(own) if found else [own, "-I", "-m", "pip", "install", *quiet]
        what = "uv pip install" if found else "pip install"
        yield what, [*install, *(["--no-deps"] if environment.complete else []), *environment.requirements]
    if environment.beside:
        # After pip, which would take these for its own. addsitedir appends, and minds the links of editable installs.
        [target] = (folder / "venv" / "lib").glob("python*/site-packages")
        lines = [f"import site; site.addsitedir({path!r})" for path in _site_packages()]
        (target / "beside.pth").write_text("\n".join(lines) + "\n")
    if environment.check:
        yield "trying it out", [own, "-I", "-c", environment.check]


def surroundings(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Environment variables (ours) without those that would bring other packages into an environment."""
    return {name: value for name, value in variables.items() if name not in _FOREIGN}


def _site_packages() -> list[str]:
    """Where the running interpreter's packages are."""
    return sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_size
    return total


# ---- Those that are there --------------------------------------------------------------------------------------------


def installed(cache: Path) -> list[Path]:
    """Folders of all environments in a cache, half-made ones too."""
    folder = cache / FOLDER
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def remove(folder: Path) -> None:
    """Remove an environment, once nobody is installing it."""
    import filelock

    with filelock.FileLock(f"{folder}.lock"):
        # First, so that one that can't be removed whole is not taken for complete.
        (folder / MARK).unlink(missing_ok=True)
        shutil.rmtree(folder)
        log_of(folder).unlink(missing_ok=True)
