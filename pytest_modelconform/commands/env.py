"""`modelconform env list | install NAME … | remove NAME …`: the isolated environments of formats and runtimes."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import environments
from ..environments import Environment, EnvironmentFault
from . import pytest_session

if TYPE_CHECKING:
    from ..cells.registry import Registry
    from ..plugin.run import Run

EXAMPLES = """\
  modelconform env list
  modelconform env install tensorflow
  modelconform env remove old

exit status: 0; 1 where an installation failed; 2 for an unknown name."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform env`."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="list | install | remove")
    commands.add_parser("list", help="the environments that formats and runtimes need, and what is installed")
    install = commands.add_parser(
        "install", help="install environments, unless they are there (also done on first use)"
    )
    install.add_argument("names", nargs="+", metavar="NAME", help="as `env list` names them, or `all`")
    remove = commands.add_parser("remove", help="remove installed environments")
    remove.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="as `env list` names them; `old`: those that nothing needs any more; or `all`",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status: 0, 1 where an installation failed, 2 for a name that nothing has."""
    return pytest_session.session("env", lambda run: _ACTIONS[arguments.action](run, arguments))


def known(registry: Registry) -> dict[str, tuple[Environment, list[str]]]:
    """Environments by name, each with the formats and runtimes that need it."""
    found: dict[str, tuple[Environment, list[str]]] = {}
    modules: list[Any] = [*map(registry.format, registry.formats), *map(registry.runtime, registry.runtimes)]
    for module in modules:
        if (environment := module.ENVIRONMENT) is None:
            continue
        first, users = found.setdefault(environment.name, (environment, []))
        if first != environment:
            raise ValueError(
                f"{module.NAME} and {users[0]} define the environment {environment.name!r} differently: rename one"
            )
        if module.NAME not in users:
            users.append(module.NAME)
    return found


def size(folder: Path) -> str:
    """Of a complete environment, in words."""
    return f"{environments.describe(folder).get('bytes', 0) / 1e6:.0f} MB"


def state(environment: Environment, cache: Path) -> tuple[str, str]:
    """One word on an environment (installed, broken, absent, impossible), and more on it."""
    if reason := environments.unavailable(environment):
        return "impossible", reason
    folder = environments.path_of(environment, cache)
    if environments.is_complete(folder):
        return "installed", size(folder)
    if folder.is_dir():
        return "broken", f"it will be installed again by: modelconform env install {environment.name}"
    return "absent", f"it will be installed on first use, or by: modelconform env install {environment.name}"


def _old(environments_known: Iterable[Environment], cache: Path) -> list[Path]:
    wanted = set()
    for environment in environments_known:
        if not environments.unavailable(environment):
            wanted.add(environments.path_of(environment, cache))
    return [folder for folder in environments.installed(cache) if folder not in wanted]


def _list(run: Run, arguments: argparse.Namespace) -> int:
    cache = run.settings.cache
    found = known(run.machinery.registry)
    width = max((len(name) for name in found), default=0)
    for name, (environment, users) in found.items():
        word, more = state(environment, cache)
        print(f"{name:{width}}  {environment.made_with:12}  {word:10}  {more}  ({', '.join(users)})")
    for folder in _old((environment for environment, _ in found.values()), cache):
        what = size(folder) if environments.is_complete(folder) else "incomplete"
        print(f"old: {folder}  {what}  (modelconform env remove old)")
    return 0


def _install(run: Run, arguments: argparse.Namespace) -> int:
    chosen = _chosen(known(run.machinery.registry), arguments.names)
    if chosen is None:
        return 2
    status = 0
    for environment in chosen.values():
        try:
            folder = environments.install(environment, run.settings.cache, lambda line: print(line, file=sys.stderr))
        except EnvironmentFault as fault:
            print(f"modelconform env: {fault}", file=sys.stderr)
            status = 1
        else:
            print(f"{environment.name}  {size(folder)}  {folder}")
    return status


def _remove(run: Run, arguments: argparse.Namespace) -> int:
    found = known(run.machinery.registry)
    cache = run.settings.cache
    names = [name for name in arguments.names if name != "old"]
    chosen = _chosen(found, names) if names else {}
    if chosen is None:
        return 2
    folders = [environments.path_of(e, cache) for e in chosen.values() if not environments.unavailable(e)]
    if {"old", "all"} & set(arguments.names):
        folders += _old((environment for environment, _ in found.values()), cache)
    for folder in folders:
        if folder.is_dir():
            environments.remove(folder)
            print(f"removed {folder}")
        else:
            print(f"{folder.name.rpartition('-')[0]} is not installed")
    return 0


def _chosen(found: Mapping[str, tuple[Environment, list[str]]], names: list[str]) -> dict[str, Environment] | None:
    if "all" in names:
        return {name: environment for name, (environment, _) in found.items()}
    for name in names:
        if name not in found:
            near = difflib.get_close_matches(name, found, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            known_names = ", ".join(found) or "none"
            print(f"modelconform env: unknown environment {name!r}.{hint} Known: {known_names}", file=sys.stderr)
            return None
    return {name: found[name][0] for name in names}


_ACTIONS = {"list": _list, "install": _install, "remove": _remove}
