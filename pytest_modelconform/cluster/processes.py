"""The pytest processes of a node: begun when needed, kept for what comes next, and ended with all they began."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from ..cache.made_once import how_it_ended
from .environment import Facts, is_variable
from .messages import Bring, Died, Ended, Finish, FromProcess, Left, Order, Ready, Start, Told

# Seconds for a process to end what it is at, and to begin.
_GRACE = 12.0
_BEGIN = 300.0
# Of what a process that died has printed.
_LAST = 2000
_CODE = "import sys; sys.path[:] = filter(None, sys.path); from pytest_modelconform.cluster.process import main; main("
_VISIBLE = "CUDA_VISIBLE_DEVICES"


class ProcessDied(Exception):
    """A pytest process is gone. The message says how it ended, and the last that it printed."""


class Process:
    """One of them. number: of this node's, from 0. visible: CUDA_VISIBLE_DEVICES, None for what the node has.

    case: what it ran last. Raises ProcessDied where it can't begin.
    """

    def __init__(self, start: Start, number: int, visible: str | None) -> None:
        self.number = number
        self.visible = visible
        self.case = ""
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the process)
        self.connection, theirs = Pipe()
        ending, self._lifeline = os.pipe()
        descriptors = (theirs.fileno(), ending)
        name = f"gw{number}"
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"{_CODE}{descriptors[0]}, {descriptors[1]})"],
                env=environment(os.environ, start.variables, name, visible),
                cwd=start.place,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                pass_fds=descriptors,
                # Ctrl-C in a terminal is for the process that has the log.
                start_new_session=True,
            )
        finally:
            theirs.close()
            os.close(ending)
        workerinput = {**start.workerinput, "workerid": name}
        with self._dying():
            self.connection.send(replace(start, workerinput=workerinput))
        if not self.connection.poll(_BEGIN):
            self.kill()
            raise ProcessDied(f"a pytest process did not begin within {_BEGIN:.0f} s")
        ready = self._read()
        assert isinstance(ready, Ready)
        self.facts: Facts = ready.facts

    @contextlib.contextmanager
    def _dying(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise ProcessDied(self._how()) from None

    def _read(self) -> FromProcess:
        with self._dying():
            found: FromProcess = self.connection.recv()
            return found

    def _how(self) -> str:
        status = self._end(_GRACE, keep_output=True)
        with self._output:
            self._output.seek(0, os.SEEK_END)
            self._output.seek(max(0, self._output.tell() - _LAST))
            said = self._output.read().decode(errors="replace").strip()
        return f"the pytest process {how_it_ended(status)}" + (f"; its last words:\n{said}" if said else "")

    def run(self, order: Order, watched: Connection, bring: Callable[[Bring], bool]) -> Iterator[FromProcess | Died]:
        """Run items; the last message is `Ended` or `Died`. Ends the process where `watched` does, without one.

        bring: answers a question for an entry of the cache.
        """
        try:
            with self._dying():
                self.connection.send(order)
            while True:
                ready = wait([self.connection, watched])
                if self.connection not in ready:
                    self.end()
                    return
                message = self._read()
                if isinstance(message, Bring):
                    with self._dying():
                        self.connection.send(bring(message))
                    continue
                yield message
                if isinstance(message, Ended):
                    return
        except ProcessDied as died:
            yield Died(str(died))

    @property
    def is_alive(self) -> bool:
        """Whether it runs still."""
        return self._process.poll() is None

    def finish(self) -> Mapping[str, Any]:
        """Have it end its session, which may take a while; what xdist calls its output. Of one that is idle."""
        try:
            with self._dying():
                self.connection.send(Finish())
            while isinstance(left := self._read(), Told):
                continue  # Nobody runs anything any more whom it would tell.
        except ProcessDied:
            return {}
        self._end(_GRACE)
        return left.workeroutput if isinstance(left, Left) else {}

    def end(self) -> None:
        """End it as Ctrl-C would, and by force where that takes too long."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)
        self._end(_GRACE)

    def kill(self) -> None:
        """End it at once."""
        self._end(0.0)

    def _end(self, patience: float, keep_output: bool = False) -> int:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        if self.is_alive:
            self._process.kill()
        status = self._process.wait()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        self.connection.close()
        if not keep_output:
            self._output.close()
        return status


class Processes:
    """Those of a node. start: what each begins with. Any thread may ask."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._idle: list[Process] = []
        self._taken: set[Process] = set()
        self._numbers: set[int] = set()
        # Of those that were ended before the others: what they have used counts.
        self._is_closed = False

    def lease(self, case: str, visible: str | None) -> Process:
        """A process for a group: one that knows its case, else another that is idle, else a new one.

        Raises ProcessDied where that can't begin, or the node has said farewell.
        """
        with self._lock:
            if self._is_closed:
                raise ProcessDied("the node takes no more groups")
            idle = [one for one in self._idle if one.visible == visible and one.is_alive]
            if idle:
                found = next((one for one in idle if one.case == case), idle[0])
                self._idle.remove(found)
                self._taken.add(found)
                found.case = case
                return found
            number = next(number for number in range(len(self._numbers) + 1) if number not in self._numbers)
            self._numbers.add(number)
        try:
            made = Process(self._start, number, visible)
        except BaseException:
            with self._lock:
                self._numbers.discard(number)
            raise
        made.case = case
        with self._lock:
            self._taken.add(made)
        return made

    def give(self, process: Process) -> None:
        """Hand one back; again: nothing happens."""
        with self._lock:
            if process not in self._taken:
                return
            self._taken.remove(process)
            if process.is_alive:
                self._idle.append(process)
            else:
                self._numbers.discard(process.number)

    def finish(self) -> list[Mapping[str, Any]]:
        """End all, and return what each has to say. Those that run something are ended, too."""
        with self._lock:
            self._is_closed = True
            idle, taken = self._idle, list(self._taken)
            self._idle = []
        for one in taken:
            one.end()
        outputs: list[Mapping[str, Any]] = []

        def finish(one: Process) -> None:
            outputs.append(one.finish())

        threads = [threading.Thread(target=finish, args=(one,)) for one in idle if one.is_alive]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return outputs


def environment(
    own: Mapping[str, str], variables: Mapping[str, str], name: str, visible: str | None
) -> Mapping[str, str]:
    """What a process finds in its environment: the node's, but for what results depend on and what Ray has put there.

    variables: what results depend on, from the process that has the log. name: as xdist's processes have one.
    """
    kept = {
        key: value for key, value in own.items() if not is_variable(key) and not key.startswith(("RAY_", "PYTEST_"))
    }
    kept.pop(_VISIBLE, None)
    devices = {} if visible is None else {_VISIBLE: visible}
    return {**kept, **variables, **devices, "PYTEST_XDIST_WORKER": name}
