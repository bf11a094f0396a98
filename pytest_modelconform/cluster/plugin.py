"""A session of pytest's whose cells run on the nodes of a cluster; all else is as in any run."""

from __future__ import annotations

import functools
import gzip
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ..plugin import progress
from ..plugin.items import CellItem
from ..plugin.processes import BYTES_A_PROCESS
from ..plugin.run import Run, run_of
from ..terms import devices
from ..terms.outcome import Outcome, Verdict
from ..terms.records import to_record
from . import library, shared
from .dispatch import Dispatch
from .environment import facts, variables
from .groups import Demand, Groups
from .library import ClusterRefused
from .messages import Start
from .nodes import Node, Nodes, State
from .project import Project, scan

# What this process has decided already, or does itself, by pytest's names for the values of options.
_DECIDED: Mapping[str, Any] = {
    "file_or_dir": [],
    "keyword": "",
    "markexpr": "",
    "deselect": None,
    "lf": False,
    "failedfirst": False,
    "newfirst": False,
    "stepwise": False,
    "stepwise_skip": False,
    "maxfail": 0,
    "modelconform_shard": "",
    "modelconform_json": None,
    "modelconform_html": None,
    "modelconform_log": None,
    "modelconform_resume": None,
    "numprocesses": None,
    "dist": "no",
    "tx": [],
    "basetemp": None,
    "debug": None,
}
# Seconds that the log waits for nodes, so that its header tells of all.
_PATIENCE = 60.0
# How each line of ours begins.
_OURS = "modelconform: "
# Options of a single process, and of one machine.
_ALONE = {
    "usepdb": "--pdb",
    "trace": "--trace",
    "numprocesses": "-n",
    "tx": "--tx",
    "modelconform_inline": "--modelconform-inline",
}


class ClusterPlugin:
    """The hooks. address: of the cluster, as Ray has it; "" for whatever is there."""

    def __init__(self, address: str = "") -> None:
        self._address = address
        self._nodes: Nodes | None = None
        self._items: dict[str, CellItem] = {}
        self._config: pytest.Config

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Refuse what a cluster can't do."""
        self._config = config
        for name, option in _ALONE.items():
            if config.getoption(name, None):
                said = f"{option} is for runs on one machine: leave it out, or use pytest --modelconform"
                raise pytest.UsageError(said)
        run_of(config).cluster = lambda: [node.record() for node in self._nodes.all] if self._nodes else []

    # -- nodes -----------------------------------------------------------------------------------------------------

    def _connected(self) -> Nodes:
        """Connect to the cluster, and have its nodes begin. Raises pytest.UsageError."""
        if self._nodes is not None:
            return self._nodes
        config, run = self._config, run_of(self._config)
        # Before Ray is there, which brings packages of its own.
        expected = facts()
        try:
            library.connect(self._address)
        except ClusterRefused as refused:
            raise pytest.UsageError(f"modelconform cluster: {refused}") from refused
        is_given = bool(config.getoption("modelconform_cache", None) or config.getini("modelconform_cache"))
        self._nodes = Nodes(
            run.machinery.place.session,
            start_of(config),
            lambda: project_of(config),
            expected,
            str(run.settings.cache) if is_given else "",
            self._say,
        )
        self._nodes.look()
        return self._nodes

    def _say(self, text: str) -> None:
        progress.show(self._config, progress.said(text))

    def pytest_report_header(self, config: pytest.Config) -> list[str]:
        """Which nodes there are. Those that turn out to differ are named as soon as that is known."""
        if config.option.collectonly:
            return []
        nodes = self._connected()
        refused = [f"modelconform: {node.name} takes no cell: {node.why}" for node in nodes.all if node.why]
        names = ", ".join(str(node) for node in nodes.all if not node.why)
        count = len(nodes.beginning)
        return [f"modelconform: {count} node{'s' if count != 1 else ''}: {names or 'none yet'}", *refused]

    # -- running ---------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run the cells on the nodes, and all other items here, as pytest would."""
        config = session.config
        if config.option.collectonly or (session.testsfailed and not config.option.continue_on_collection_errors):
            return None  # as pytest has it
        run = run_of(config)
        nodes = self._connected()
        there = [item for item in session.items if isinstance(item, CellItem) and not item.settled]
        here = [item for item in session.items if not isinstance(item, CellItem) or item.settled]
        self._items = {item.nodeid: item for item in there}
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.showfspath = False  # Cells of several files run at a time.
        config.hook.pytest_xdist_node_collection_finished(node=_Node(), ids=[*self._items])
        hurry = True
        try:
            nodes.settle(_PATIENCE)
            for item, following in zip(here, [*here[1:], None], strict=False):
                config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                _heed(session)
            dispatch = Dispatch(nodes, self._groups(run), _Listener(session, self._items, self._say))
            try:
                dispatch.run()
                hurry = False
            finally:
                dispatch.stop()
        finally:
            self._farewell(run, nodes, hurry)
        return True

    def _groups(self, run: Run) -> Groups:
        ahead: Any = self._config.pluginmanager.get_plugin("modelconform-ahead")
        assert self._nodes is not None
        has_gpu = any(node.all.gpus >= 1 for node in self._nodes.all if node.state is not State.REFUSED)

        def needs_gpu(item: str) -> bool:
            way = devices.route(self._items[item].cell.device)
            return devices.CUDA in (way.exported_on, way.runs_on)

        def demand(scope: str, items: Sequence[str]) -> Demand:
            recorded = getattr(ahead.durations, "memory_of_unit", None)
            memory = max(recorded(scope, items), BYTES_A_PROCESS) if recorded else BYTES_A_PROCESS
            return Demand(1.0, 1.0 if has_gpu and needs_gpu(items[0]) else 0.0, memory)

        return Groups(self._items, ahead.seconds, demand, needs_gpu)

    def _farewell(self, run: Run, nodes: Nodes, hurry: bool) -> None:
        """Take what the nodes have left for the end of the run, and end what runs on them."""
        for node, farewell in nodes.finish(hurry):
            shared.put(run.machinery.place.session, farewell.files)
            for output in farewell.outputs:
                self._config.hook.pytest_testnodedown(node=_Node(node.name, output), error=None)
        session: Any = self._config.pluginmanager.get_plugin("modelconform-session")
        absent = [node for node in nodes.all if node.why and not node.is_idle]
        session.log.remarks += [f"{node.name} {node.state.value}: {node.why}" for node in absent]

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Leave the cluster."""
        if self._nodes is not None:
            library.disconnect()


def _heed(session: pytest.Session) -> None:
    """End where pytest would."""
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)


class _Listener:
    """Gives pytest's hooks what comes from nodes, as if the cells had run here."""

    def __init__(self, session: pytest.Session, items: Mapping[str, CellItem], say: Callable[[str], None]) -> None:
        self._session = session
        self._show = functools.partial(progress.show, session.config)
        self._say = say
        self._hook = session.config.hook
        self._items = items
        # One object a node: reports of an item belong together by it.
        self._nodes: dict[str, _Node] = {}

    def begun(self, item: str, node: Node) -> None:
        self._hook.pytest_runtest_logstart(nodeid=item, location=self._items[item].location)

    def ended(self, item: str, reports: Sequence[Mapping[str, Any]], node: Node) -> None:
        for data in reports:
            report = self._hook.pytest_report_from_serializable(config=self._session.config, data=dict(data))
            self._log(report, node.name)
        self._end(item)

    def told(self, text: str, node: Node) -> None:
        self._show(text.replace(_OURS, f"{_OURS}{node.name}: ", 1))

    def lost(self, item: str, node: Node, why: str) -> None:
        self._say(f"{node.name} has lost {item} ({why}): it runs again")

    def given_up(self, item: str, why: str) -> None:
        """A report of a cell that was not run: it fails, and says why."""
        found = self._items[item]
        report = pytest.TestReport(item, found.location, {}, "failed", why, "call")
        outcome = Outcome(Verdict.NOT_RUN, None, why, tags=tuple(found.declared.tags))
        report.modelconform = to_record(found.cell, outcome)  # type: ignore[attr-defined]
        self._log(report, "")
        self._end(item)

    def _log(self, report: pytest.TestReport, name: str) -> None:
        if name:
            report.node = self._nodes.setdefault(name, _Node(name))  # type: ignore[attr-defined]
        self._hook.pytest_runtest_logreport(report=report)

    def _end(self, item: str) -> None:
        self._hook.pytest_runtest_logfinish(nodeid=item, location=self._items[item].location)
        _heed(self._session)


class _Node:
    """What hooks of xdist's, and the terminal, are given for a process on a node."""

    def __init__(self, name: str = "", output: Mapping[str, Any] | None = None) -> None:
        self.workerinput: dict[str, Any] = {}
        self.workeroutput = dict(output or {})
        self.gateway = self
        self.id = name
        # What a failure is headed by. A node that takes cells has the Python of this process.
        self.workerinfo = {
            "id": name,
            "sysplatform": sys.platform,
            "version_info": tuple(sys.version_info),
            "executable": sys.executable,
        }


def start_of(config: pytest.Config) -> Start:
    """What a pytest process on a node begins with, where the project is at its own place there."""
    node = _Node()
    config.hook.pytest_configure_node(node=node)
    given = {**vars(config.option), **_DECIDED, "rootdir": str(config.rootpath)}
    given["inifilename"] = str(config.inipath) if config.inipath else None
    # Nothing is shown there, nor written into the project.
    given["plugins"] = [*(given.get("plugins") or []), "no:terminal", "no:cacheprovider"]
    option = {name: value for name, value in given.items() if _is_plain(value)}
    place = config.invocation_params.dir
    arguments = [str(Path(place, argument)) for argument in config.args]
    inputs = {**node.workerinput, "testrunuid": "", "mainargv": []}
    run = run_of(config)
    session, earlier = run.machinery.place.session, run.settings.resume
    # Where no cell of it may stand, there may be no such file yet; nodes are told of none all the same.
    log = gzip.compress(earlier.read_bytes() if run.resumed else b"", 1) if earlier is not None else b""
    return Start(session, str(config.rootpath), str(place), arguments, option, inputs, variables(), log)


def _is_plain(value: object) -> bool:
    try:
        pickle.dumps(value)
    except Exception:
        return False
    return True


def project_of(config: pytest.Config) -> Project:
    """The files that nodes need."""
    return scan(config.rootpath, config.getini("norecursedirs"))
