"""What ends a run early: SIGTERM and SIGHUP do what Ctrl-C does, and xdist's processes end with their controller.

execnet notices that a controller is gone, and ends what goes on 5 s later; where Ctrl-C is ignored, as in what a shell
has in its background, 15 s later and without cleaning up. Of a controller that was told to end alone it hears as late.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import pytest

from .run import Run

if TYPE_CHECKING:
    from .log import RunLog

# Those that end a process which does not say otherwise, and that are sent by who waits for its end.
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
# Below the session's temporary folder, what says that its controller ends.
_ENDED = "ended"
# Seconds between looks for it.
_LOOK = 0.2


class EndingPlugin:
    """The hooks. They leave alone whatever somebody else does at such a signal, and what is ignored (`nohup`)."""

    def __init__(self, run: Run, log: RunLog) -> None:
        self.run, self.log = run, log
        self._before: dict[int, object] = {}
        self._is_settling = False
        self._watch: _Watch | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """From here on there is something to clean up."""
        if threading.current_thread() is not threading.main_thread():
            return
        if self.run.is_xdist_worker:
            self._watch = _Watch(self.run.machinery.scratch / _ENDED)
            self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._interrupt)
            self._watch.start()
            return
        for number in _SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                self._before[number] = signal.signal(number, self._end)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """In an xdist process: Ctrl-C, or the controller's end, of which execnet tells once more."""
        assert self._watch is not None
        if not self._watch.is_heard:
            self._watch.is_heard = self._watch.is_over
            raise KeyboardInterrupt

    def _end(self, number: int, frame: FrameType | None) -> None:
        """In the process that has the log. Once: a second one would stop the cleaning up."""
        for each in self._before.keys() & {*_SIGNALS}:
            signal.signal(each, signal.SIG_IGN)
        if not self._is_settling or self.run.is_searching:
            self.log.remarks.append(f"modelconform: ended by {signal.Signals(number).name}")
            raise KeyboardInterrupt(signal.Signals(number).name)

    def _wait(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-C while the run ends by itself: the second one stops that."""
        if self.run.is_searching:
            raise KeyboardInterrupt
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def pytest_keyboard_interrupt(self) -> None:
        """On an xdist controller: tell its processes, which a signal need not have reached."""
        if not self.run.is_xdist_worker:
            with contextlib.suppress(OSError):
                (self.run.machinery.scratch / _ENDED).touch()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, None, None]:
        """Now processes are ended and results are written. Whatever stops one of these hooks, stops all after it."""
        self._is_settling = True
        usual = signal.default_int_handler
        if self._before and not self.run.is_xdist_worker and signal.getsignal(signal.SIGINT) is usual:
            self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._wait)
        yield

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Signals are others' again."""
        if self._watch is not None:
            self._watch.stop()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before.clear()


class _Watch(threading.Thread):
    """Interrupts the main thread of an xdist process once its controller ends or is gone. file: says that it ends.

    is_heard: whether the main thread has taken notice.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(name="modelconform-ending", daemon=True)
        self.is_over = self.is_heard = False
        self._file = file
        self._parent = os.getppid()
        self._stopped = threading.Event()

    def run(self) -> None:
        """Look five times a second."""
        while not self._stopped.wait(_LOOK):
            if os.getppid() != self._parent or self._file.exists():
                self.is_over = True
                main = threading.main_thread().ident
                assert main is not None
                signal.pthread_kill(main, signal.SIGINT)  # it may wait in a system call
                return

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
