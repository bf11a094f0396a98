"""How many pytest processes a run takes where nobody says: as many as there are cores, memory and work for."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..cells.pool import threads
from ..cells.settings import Settings
from ..terms import capacity, devices
from ..terms import gpus as gpus_of
from ..terms.gpus import Gpu
from . import options
from .units import OrdinaryTests, units

# What a pytest process, its case host and the workers that it keeps were seen to take.
BYTES_A_PROCESS = 2 * 2**30
_VARIABLE = "PYTEST_XDIST_AUTO_NUM_WORKERS"
_MORE = "-n auto for more"
# Options that one process serves, by the names that pytest has for their values: what they show, or where they stop,
# would be lost between several.
_ALONE = {
    "usepdb": "--pdb",
    "trace": "--trace",
    "collectonly": "--collect-only",
    "stepwise": "--stepwise",
    "setupshow": "--setup-show",
    "setuponly": "--setup-only",
    "setupplan": "--setup-plan",
    "showfixtures": "--fixtures",
    "show_fixtures_per_test": "--fixtures-per-test",
    "markers": "--markers",
    "cacheshow": "--cache-show",
    "help": "--help",
    "version": "--version",
    # It looks for xdist before we could say anything.
    "cov_source": f"--cov; {_MORE}",
}


@dataclass(frozen=True)
class Chosen:
    """A number of processes; 0 where it isn't ours to choose. why: what the header says of it."""

    number: int
    why: str = ""


_CHOSEN = pytest.StashKey[Chosen]()
_OTHERS = Chosen(0)


def fitting(cores: int, free: int, gpus: Sequence[Gpu] = ()) -> Chosen:
    """As many processes as there are cores, and memory for.

    Args:
        cores: processors that we may use.
        free: bytes of memory that nobody uses.
        gpus: those that a run uses, each by as many processes as its memory has room for; none for a run on the CPU.

    """
    limits = [
        Chosen(cores, "-n 0 for one process" if cores > 1 else ""),
        Chosen(max(1, free // BYTES_A_PROCESS), f"no more fit into {free / 2**30:.1f} GiB; -n N for another number"),
    ]
    if gpus:
        fit = gpus_of.fitting(gpus)
        said = "one for each GPU" if fit == len(gpus) else f"no more fit on the GPU{'s' if len(gpus) > 1 else ''}"
        limits.append(Chosen(fit, f"{said}; -n N for another number"))
    return min(limits, key=lambda limit: limit.number)


def decide(config: pytest.Config) -> None:
    """Where nobody says how many processes a run takes, say it as if by `-n`. To be called before xdist looks.

    Raises pytest.UsageError for settings that make no sense.
    """
    chosen = config.stash[_CHOSEN] = _chosen(config)
    if chosen.number > 1:
        config.option.numprocesses = chosen.number


def _chosen(config: pytest.Config) -> Chosen:
    if _is_decided(config):
        return _OTHERS
    if word := next((word for name, word in _ALONE.items() if config.getoption(name, None)), None):
        return Chosen(1, f"one because of {word}")
    if config.getoption("capture", None) == "no":
        return Chosen(1, f"one because of -s; {_MORE}")
    settings = options.settings(config)
    if settings.inline:
        return Chosen(1, "one because of --modelconform-inline")
    most = _fitting(settings)
    if not config.pluginmanager.hasplugin("xdist"):
        is_missing = importlib.util.find_spec("xdist") is None and most.number > 1
        return Chosen(1, f"pip install pytest-xdist to use {most.number} processes" if is_missing else "")
    if source := _other_source(config):
        most = Chosen(int(config.hook.pytest_xdist_auto_num_workers(config=config)), f"as {source} says")
    if most.number <= 1:
        return most
    try:
        work = units(config, settings, enough=most.number)
    except OrdinaryTests as file:
        return Chosen(1, f"one because {file} is no case file; {_MORE}")
    except (OSError, ValueError):
        # A path that is none, or that can't be read: pytest says so when it collects.
        return Chosen(1)
    return most if work >= most.number else Chosen(max(1, work), "there is no more to divide")


def _fitting(settings: Settings) -> Chosen:
    free = capacity.memory().free
    if settings.memory is not None:
        free = min(free, settings.memory)
    return fitting(capacity.cores(), free, gpus_of.visible() if uses_gpu(settings.devices) else ())


def uses_gpu(names: Sequence[str]) -> bool:
    """Whether cells of these devices use a GPU. names: as the option has them; "all" is every device."""
    return any(name == "all" or devices.needs_gpu(name, bound=False) for name in names)


def _is_decided(config: pytest.Config) -> bool:
    """Whether somebody says how many processes there are: the user, or xdist, in one of whose processes this is."""
    if hasattr(config, "workerinput") or "PYTEST_XDIST_WORKER" in os.environ:
        return True
    given = any(config.getoption(name, None) for name in ("distload", "tx", "looponfail"))
    return given or config.getoption("numprocesses", None) is not None or config.getoption("dist", "no") != "no"


def _other_source(config: pytest.Config) -> str:
    """What else than the machine says how many processes `-n auto` comes to; "" for nothing."""
    if os.environ.get(_VARIABLE, "").isdecimal():
        return _VARIABLE
    hooks = config.hook.pytest_xdist_auto_num_workers.get_hookimpls()
    others = [hook.plugin_name for hook in hooks if hook.plugin_name != "xdist" and not hook.wrapper]
    return Path(others[-1]).name if others else ""


def automatic(config: pytest.Config, theirs: int) -> int:
    """How many processes `-n auto` and `-n logical` come to, where xdist's own answer is `theirs`."""
    if _other_source(config):
        return theirs
    most = _fitting(options.settings(config))
    if most.number >= theirs:
        return theirs
    config.stash[_CHOSEN] = most
    return most.number


def count(config: pytest.Config) -> int:
    """How many pytest processes run the items of this session."""
    if config.option.collectonly or config.getoption("dist", "no") == "no" or not config.getoption("tx", None):
        return 1
    from xdist.workermanage import parse_tx_spec_config  # type: ignore[import-untyped]

    return len(parse_tx_spec_config(config))


def line(config: pytest.Config) -> str:
    """The header's line: how many processes and threads there are, and why."""
    number, cores, chosen = count(config), capacity.cores(), config.stash.get(_CHOSEN, _OTHERS)
    said = _counted(number, "process", "processes") + f", {_counted(threads(number), 'thread', 'threads')}"
    said += " each" if number > 1 else ""
    why = f"; {chosen.why}" if chosen.why and chosen.number == number else ""
    return f"{said} ({_counted(cores, 'core', 'cores')}{why})"


def _counted(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"
