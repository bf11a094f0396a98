"""uv, where it is there: it makes an environment in a tenth of pip's time, and links the files that environments share.

Asked to do what pip would: with pip's configuration. Where that says something that uv has no word for, pip is asked.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 20.0
# Of pip's options: those that take lists, a switch, and what uv reads from a variable.
_LISTS = {
    "extra-index-url": "--extra-index-url",
    "find-links": "--find-links",
    "constraint": "--constraint",
    "trusted-host": "--allow-insecure-host",
    "index-url": "--index-url",
}
_SWITCHES = {"no-index": "--no-index"}
_VARIABLES = {"cert": "SSL_CERT_FILE", "timeout": "UV_HTTP_TIMEOUT", "default-timeout": "UV_HTTP_TIMEOUT"}
# What changes nothing of what is installed.
_SILENT = {
    *("disable-pip-version-check", "no-input", "no-warn-script-location", "no-python-version-warning", "no-color"),
    *("progress-bar", "quiet", "verbose", "log", "retries", "root-user-action", "exists-action"),
    *("break-system-packages", "require-virtualenv", "cache-dir", "no-cache-dir", "no-compile"),
}
_YES = ("1", "true", "yes", "on", "y", "t")


@dataclass(frozen=True)
class Uv:
    """How uv is called. options: of `uv pip install`, what pip's configuration says; variables: besides the user's."""

    path: str
    options: tuple[str, ...]
    variables: Mapping[str, str]

    def venv(self, python: str, folder: Path) -> list[str]:
        """The command that makes a virtual environment of an interpreter."""
        return [self.path, "venv", "--no-project", "--python", python, str(folder)]

    def install(self, python: str) -> list[str]:
        """The command that installs what follows it into an interpreter's environment."""
        # As pip does: the best version of all indexes, and not that of the first which has any.
        return [self.path, "pip", "install", "--python", python, "--index-strategy", "unsafe-best-match", *self.options]


def find(variables: Mapping[str, str]) -> Uv | None:
    """The uv of the running environment, else that on PATH; None if there is none, or pip is to be asked.

    variables: of the environment in which pip would run, and is asked for its configuration; some tenths of a second.
    """
    scripts = sysconfig.get_path("scripts")
    path = shutil.which("uv", path=scripts) or shutil.which("uv")
    # One of pyenv's shims runs only where its version is switched on.
    if path is None or (said := _said([path, "--version"], variables)) is None or not said.startswith("uv "):
        return None
    listed = _said([sys.executable, "-I", "-m", "pip", "config", "list"], variables)
    configuration = None if listed is None else translated(listed)
    return None if configuration is None else Uv(path, *configuration)


def translated(listed: str) -> tuple[tuple[str, ...], dict[str, str]] | None:
    """What `pip config list` says, as uv's options and variables; None where uv has no word for some of it."""
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in sections:
            sections[section][key] = str(ast.literal_eval(value))
    options: list[str] = []
    variables: dict[str, str] = {}
    # The later ones count, as in pip.
    for key, value in (sections["global"] | sections["install"] | sections[":env:"]).items():
        if key in _LISTS:
            options += [word for one in value.split() for word in (_LISTS[key], one)]
        elif key in _SWITCHES:
            options += [_SWITCHES[key]] if value.lower() in _YES else []
        elif key in _VARIABLES:
            variables[_VARIABLES[key]] = value
        elif key not in _SILENT:
            return None
    return tuple(options), variables


def _said(command: list[str], variables: Mapping[str, str]) -> str | None:
    try:
        done = subprocess.run(
            command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
