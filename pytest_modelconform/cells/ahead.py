"""Builds and installations beside a session, at lowest priority, before the first cell has to wait for one.

A process for what is built and one for what is installed. They end with the process that started them, however that
ends; `made_once` then leaves nothing half-made in place, and the cells wait for its locks as ever.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

from ..cache import temporary
from ..cache.keeper import KEEPER
from ..cache.made_once import BuildError, join_session
from ..terms.core_seconds import SPENT
from .needs import Need

# As long as the end of a session waits for compilers and installers to end.
_END = 5.0
_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); from pytest_modelconform.cells import ahead; "
    "ahead.main()"
)


@dataclass(frozen=True)
class Event:
    """Something to tell of. text: a line. ended: the name of what is made now, or can't be.

    spent: core-seconds by kind, since the event before.
    """

    text: str
    ended: str = ""
    spent: Mapping[str, float] = field(default_factory=dict)


class Ahead:
    """Makes what cells need, in processes beside this one. say: is called with events, from other threads."""

    def __init__(self, needs: Sequence[Need], cache: Path, session: str, say: Callable[[Event], None]) -> None:
        self._say = say
        self._children = []
        for how in dict.fromkeys(need.how for need in needs):
            child = subprocess.Popen(
                [sys.executable, "-c", _CHILD, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Ctrl-C is for pytest alone, which ends them.
                start_new_session=True,
            )
            self._children.append(child)
            assert child.stdin is not None
            # Not closed: its end is the end of this process.
            with contextlib.suppress(OSError):
                pickle.dump((cache, session, [need for need in needs if need.how == how]), child.stdin)
                child.stdin.flush()
            threading.Thread(target=self._listen, args=[child], daemon=True).start()

    def _listen(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            event = Event(**json.loads(line))
            for kind, seconds in event.spent.items():
                SPENT.add(kind, seconds)
            self._say(event)

    def close(self) -> None:
        """End what goes on. What is half-made is removed; that may take longer than this waits."""
        for child in self._children:
            child.terminate()
        until = time.monotonic() + _END
        for child in self._children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, until - time.monotonic()))
            for pipe in (child.stdin, child.stdout if child.returncode is not None else None):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


# ---- The process beside ----------------------------------------------------------------------------------------------


def main() -> None:
    """Make what standard input names, and tell of it in lines of JSON."""
    signal.signal(signal.SIGTERM, _end)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # What is printed here is no answer.
    cache, session, needs = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_watch_parent, daemon=True).start()
    join_session(session, ahead=True)
    with contextlib.suppress(OSError):
        KEEPER.folder = str(temporary.enter(temporary.folder_of(session)))

    told: dict[str, float] = {}

    def tell(text: str, ended: str = "") -> None:
        # That others make it, each of these says itself.
        if not text.startswith("waiting for "):
            now = SPENT.by_kind()
            spent = {kind: seconds - told.get(kind, 0.0) for kind, seconds in now.items()}
            told.update(now)
            print(json.dumps({"text": text, "ended": ended, "spent": spent}), file=answers, flush=True)

    for need in needs:
        begin = time.monotonic()
        try:
            need.make(cache, tell)
        except (BuildError, OSError):
            tell(f"{need.name} can't be {need.how}: its cells say why", need.name)
        else:
            tell(f"{need.name} is {need.how} ({time.monotonic() - begin:.0f} s)", need.name)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    # Once: a second one would stop the removal of what is half-made.
    signal.signal(number, signal.SIG_IGN)
    sys.exit(1)


def _watch_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
