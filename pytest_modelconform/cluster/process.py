"""A pytest process on a node, which runs the items that it is told of: what xdist's process is on one machine.

It collects a file when it is told of an item in it, and keeps its workers from one group to the next. Like xdist's, it
writes no log: the reports go to the process that has told it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from ..cache import temporary
from ..plugin import progress
from ..plugin.named import SCOPE, Scope
from ..plugin.run import run_of
from . import shared
from .environment import facts
from .messages import Absent, Begun, Bring, Done, Ended, Finish, Left, Order, Ready, Start, Told

# Seconds that a session gets to end its workers once nobody waits for it any more.
_GRACE = 10.0


def main(wire: int, lifeline: int) -> None:
    """Run a session. wire: a descriptor of a connection; lifeline: one that ends with the process that has begun us."""
    connection = Connection(wire)
    start: Start = connection.recv()
    threading.Thread(target=_watch, args=(lifeline, start.session), name="modelconform-lifeline", daemon=True).start()
    os.chdir(start.place)
    # Plugins are loaded, or kept out, by words only.
    option = {**start.option, "plugins": [], **_earlier(start)}
    words = [word for name in start.option["plugins"] for word in ("-p", name)]
    config = pytest.Config.fromdictargs(option, [*words, *start.arguments])
    config.workerinput = {**start.workerinput, SCOPE: Scope.NODES.value}  # type: ignore[attr-defined]
    config.workeroutput = {}  # type: ignore[attr-defined]
    config.pluginmanager.register(_Joining(connection), "modelconform-cluster-process")
    try:
        config.hook.pytest_cmdline_main(config=config)
        connection.send(Left(config.workeroutput))  # type: ignore[attr-defined]
    except (BrokenPipeError, ConnectionResetError):
        pass
    # What asked to be told of the end is told, but nothing is taken apart object by object.
    atexit._run_exitfuncs()
    os._exit(0)


def _earlier(start: Start) -> Mapping[str, str]:
    """The option for the log of an earlier run, here a file of this session. On a full disk all cells run."""
    if not start.earlier:
        return {}
    path = temporary.folder_of(start.session) / f"earlier-{os.getpid()}.jsonl.gz"
    try:
        path.write_bytes(start.earlier)
    except OSError:
        path = Path(os.devnull)
    return {"modelconform_resume": str(path)}


def _watch(lifeline: int, session: str) -> None:
    """End the session when nobody is there any more for whom it runs."""
    with contextlib.suppress(OSError):
        os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(_GRACE)
    shared.leave(session)
    os._exit(1)


class _Joining:
    """Registers the hooks when all others are: of those that want to be first, the last to come is."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        session.config.pluginmanager.register(_Serving(self.connection, session), "modelconform-cluster-serving")


class _Serving:
    """The hooks of a session that runs what it is told of."""

    def __init__(self, connection: Connection, session: pytest.Session) -> None:
        self.connection = connection
        self.session = session
        self.config = session.config
        self.cache = run_of(session.config).machinery.cache
        self.cache.others = self._bring
        self._items: dict[str, pytest.Item] = {}
        # By file, what was wrong with collecting it; "" for nothing.
        self._collected: dict[str, str] = {}
        self._reports: list[Mapping[str, Any]] = []
        # Of the wire, for questions of other threads.
        self._asking = threading.Lock()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> bool:
        """Collect nothing yet."""
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> bool:
        """Run groups until the end."""
        self.connection.send(Ready(facts()))
        progress.send(self.config, lambda text: self._send(Told(text)))
        while True:
            try:
                order = self.connection.recv()
            except EOFError:
                return True
            if isinstance(order, Finish):
                return True
            self._run(order)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a report until its item has ended."""
        serialised = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        self._reports.append(serialised)

    def _run(self, order: Order) -> None:
        self.cache.ask_again()
        found = [(node_id, self._item(node_id)) for node_id in order.items]
        there = [item for _, item in found if item is not None]
        following = dict(zip(there, [*there[1:], None], strict=False))
        for node_id, item in found:
            if item is None:
                self._send(Absent(node_id, self._why_absent(node_id)))
                continue
            self._send(Begun(node_id))
            self._reports = []
            self.config.hook.pytest_runtest_protocol(item=item, nextitem=following[item])
            self._send(Done(node_id, self._reports))
        self._send(Ended())

    def _item(self, node_id: str) -> pytest.Item | None:
        file = node_id.partition("::")[0]
        if file not in self._collected:
            self._collected[file] = self._collect(self.config.rootpath / file)
        return self._items.get(node_id)

    def _collect(self, file: Path) -> str:
        """Collect a file; what is wrong with it."""
        # How many failures are too many, the process decides that counts all of them.
        self.session.shouldfail = self.session.shouldstop = False
        try:
            items = self.session.perform_collect([str(file)])
        except (pytest.UsageError, pytest.Collector.CollectError) as error:
            return str(error)
        self._items.update((item.nodeid, item) for item in items)
        return ""

    def _why_absent(self, node_id: str) -> str:
        return self._collected[node_id.partition("::")[0]] or "the file there has no such cell"

    def _send(self, message: object) -> None:
        with self._asking:
            self.connection.send(message)

    def _bring(self, kind: str, name: str) -> bool:
        with self._asking:
            self.connection.send(Bring(kind, name, str(self.cache.folder)))
            return bool(self.connection.recv())
