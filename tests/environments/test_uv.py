"""uv in pip's place: with pip's configuration, or not at all; and pip where uv is missing or fails."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_modelconform import environments
from pytest_modelconform.cache.made_once import log_of
from pytest_modelconform.environments import Environment, EnvironmentFault, uv

pytestmark = pytest.mark.installs

CONFIGURATION = """\
:env:.find-links='/wheels /more wheels'
:env:.disable-pip-version-check='1'
global.cert='/etc/ca.crt'
global.default-timeout='180'
global.extra-index-url='file:///a https://b/simple'
global.find-links='/elsewhere'
global.constraint='/etc/constraints.txt'
install.index-url='https://mirror/simple'
install.no-index='false'
download.no-binary=':all:'
"""


def test_pips_configuration_becomes_uvs() -> None:
    found = uv.translated(CONFIGURATION)
    assert found is not None
    options, variables = found
    pairs = [f"{name} {value}" for name, value in zip(options[::2], options[1::2], strict=True)]
    assert sorted(pairs) == [
        "--constraint /etc/constraints.txt",
        "--extra-index-url file:///a",
        "--extra-index-url https://b/simple",
        # What the environment says, in the place of what the file says.
        "--find-links /more",
        "--find-links /wheels",
        "--find-links wheels",
        "--index-url https://mirror/simple",
    ]
    assert variables == {"SSL_CERT_FILE": "/etc/ca.crt", "UV_HTTP_TIMEOUT": "180"}
    assert uv.translated("") == ((), {})
    assert uv.translated("global.no-index='true'\n") == (("--no-index",), {})


def test_what_uv_has_no_word_for_is_pips() -> None:
    assert uv.translated("global.proxy='http://proxy'\n") is None
    assert uv.translated(":env:.no-binary=':all:'\n") is None


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A uv on PATH that fails, and none in the running environment."""
    path = tmp_path / "programs" / "uv"
    path.parent.mkdir()
    path.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "uv 9.9" && exit\necho "$@" >> "$0.calls"\nexit 7\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / "none"))
    # Told by pip, which has to be here.
    monkeypatch.setattr(uv, "translated", lambda listed: (("--no-index",), {}))
    return path


def test_where_uv_fails_pip_is_asked(fake: Path, tmp_path: Path) -> None:
    environment = Environment("empty", check="import pip")
    lines: list[str] = []
    environments.install(environment, tmp_path, lines.append)
    assert len(lines) == 3
    assert lines[0] == lines[1]
    folder = environments.path_of(environment, tmp_path)
    [call] = Path(f"{fake}.calls").read_text().splitlines()
    assert call.startswith("venv ")
    assert call.endswith(f" {folder / 'venv'}")
    # The log is that of what made it.
    assert "uv" not in log_of(folder).read_text().replace(str(folder), "")


def test_where_both_fail_it_is_pip_that_says_why(fake: Path, tmp_path: Path) -> None:
    environment = Environment("absent", (str(tmp_path / "none-1.0-py3-none-any.whl"),))
    with pytest.raises(EnvironmentFault, match="pip install ended with status 1\n") as fault:
        environments.install(environment, tmp_path, lambda line: None)
    assert "uv pip" not in str(fault.value)
    assert Path(f"{fake}.calls").exists()


def test_a_uv_that_does_not_run_is_none(fake: Path) -> None:
    assert uv.find(environments.surroundings()) == uv.Uv(str(fake), ("--no-index",), {})
    # As one of pyenv's shims where its version is not switched on.
    fake.write_text("#!/bin/sh\nexit 127\n")
    assert uv.find(environments.surroundings()) is None


def test_packages_of_node_are_npms(fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "_commands", lambda environment, folder, found: [(str(found), ["true"])])
    said: list[str] = []
    (tmp_path / "folder").mkdir()
    made = Environment("node", npm=tmp_path)
    environments._install(made, tmp_path / "folder", said.append)
    assert said == ["None"]
    environments._install(replace(made, npm=None), tmp_path / "folder", said.append)
    assert said[1].startswith("Uv(")
