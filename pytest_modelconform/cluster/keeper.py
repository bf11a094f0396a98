"""What runs on a node for a run: an actor of Ray's that keeps the pytest processes, and the task that a group is.

A task holds what Ray has granted the group, and talks to the actor through a socket: Ray takes the processors of a task
away as long as it waits for an actor's answer.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

from ..cache.store import default_folder
from . import shared
from .environment import Facts
from .exchange import Piece, pieces, take
from .messages import Bring, Died, Ended, Farewell, Lease, Order, Start
from .processes import ProcessDied, Processes
from .project import Copy, Project, unpack

# Seconds to wait for a piece from another node.
_PATIENCE = 120.0

# A function that gives the pieces of an entry from another node, by the node's id, the entry's kind and its name.
Fetch = Callable[[str, str, str], Iterator[Piece]]


@dataclass(frozen=True)
class Hello:
    """Of a node that is ready. address, key: where its tasks find it."""

    facts: Facts
    address: tuple[str, int]
    key: bytes


class Keeper:
    """The actor, without Ray. fetch: asks other nodes. cache: the folder that was asked for, "" for the node's own."""

    def __init__(self, fetch: Fetch | None = None, cache: str = "") -> None:
        self._fetch = fetch or _from_actor
        self._cache = Path(cache) if cache else default_folder()
        self._copy: Copy | None = None
        self._processes: Processes | None = None
        self._start: Start | None = None

    def has(self, project: Project) -> bool:
        """Whether this node sees the project where the run was started."""
        return project.is_here

    def begin(self, start: Start, project: Project, data: bytes | None) -> Hello:
        """Begin a first pytest process. data: the project's files, where this node has none.

        Raises ProcessDied, ProjectRefused or OSError.
        """
        if data is not None:
            self._copy = unpack(project, data, self._cache / "projects")
            start = moved(start, project.root, str(self._copy.root))
        self._start = start
        shared.enter(start.session)
        self._processes = Processes(start)
        first = self._processes.lease("", None)
        self._processes.give(first)
        self._listener = Listener(("127.0.0.1", 0), authkey=(key := secrets.token_bytes(32)))
        threading.Thread(target=self._accept, name="modelconform-keeper", daemon=True).start()
        address: Any = self._listener.address
        return Hello(first.facts, address, key)

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except Exception:
                # A stranger, or the end: closing the listener ends the thread with its process.
                if self._processes is None:
                    return
                continue
            if self._processes is None:
                # What waits for a connection still gets one when the listener is closed.
                connection.close()
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        """Run a group for a task, as long as that lives."""
        with contextlib.suppress(EOFError, OSError), connection:
            lease: Lease = connection.recv()
            if (processes := self._processes) is None:
                return
            try:
                process = processes.lease(lease.case, lease.visible)
            except (ProcessDied, OSError) as error:
                connection.send(Died(str(error)))
                return
            messages = process.run(Order(lease.items), connection, lambda asked: self._bring(asked, lease.peers))
            try:
                for message in messages:
                    if isinstance(message, Ended):
                        # Who hears of the end may say farewell, to a process that is idle.
                        processes.give(process)
                    connection.send(message)
            except OSError:
                process.end()  # The task is gone, and what it runs is nobody's.
                raise
            finally:
                processes.give(process)

    def _bring(self, asked: Bring, peers: Any) -> bool:
        for peer in peers:
            with contextlib.suppress(Exception):  # Whatever becomes of another node: it is made here, then.
                if take(self._fetch(peer, asked.kind, asked.name), Path(asked.folder), asked.kind, asked.name):
                    return True
        return False

    def entry(self, kind: str, name: str) -> Iterator[Piece]:
        """An entry of this node's cache, for another node."""
        yield from pieces(self._cache, kind, name)

    def finish(self) -> Farewell:
        """End the processes, and hand over what they have left."""
        if self._processes is None or self._start is None:
            return Farewell()
        outputs = self._processes.finish()
        self._processes = None
        self._listener.close()
        files = shared.taken(self._start.session)
        shared.leave(self._start.session)
        if self._copy is not None:
            self._copy.release()
        return Farewell(outputs, files)


def moved(start: Start, root: str, other: str) -> Start:
    """What a process begins with where the project has another root."""

    def there(path: str) -> str:
        inside = os.path.relpath(path.partition("::")[0], root)
        rest = path[len(path.partition("::")[0]) :]
        return path if inside.startswith(os.pardir) else os.path.normpath(Path(other, inside)) + rest

    option = {name: there(v) if name in ("rootdir", "inifilename") and v else v for name, v in start.option.items()}
    return replace(start, root=other, place=there(start.place), arguments=[*map(there, start.arguments)], option=option)


def _from_actor(name: str, kind: str, entry: str) -> Iterator[Piece]:
    """The pieces of an entry, from the keeper with this name."""
    from .library import ray

    found = ray().get_actor(name).entry.options(num_returns="streaming").remote(kind, entry)
    for reference in found:
        yield ray().get(reference, timeout=_PATIENCE)


def run_group(address: tuple[str, int], key: bytes, lease: Lease, has_gpu: bool) -> Iterator[object]:
    """The task: have the node run a group, and hand on what it says."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "") if has_gpu else None
    with Client(address, authkey=key) as connection:
        connection.send(replace(lease, visible=visible))
        while True:
            try:
                message = connection.recv()
            except EOFError:
                message = Died("the process that keeps the node's pytest processes is gone")
            yield message
            if isinstance(message, (Ended, Died)):
                return
