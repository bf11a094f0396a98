"""Whose turn it is on a GPU: many processes share it, and what its memory was not enough for has it alone once more.

Two files for each GPU, below a folder of the user's, are locked by whoever uses it, in whatever session; the system
frees a lock when its holder dies, whatever of. `use` is held shared by those that share the GPU, and exclusively by
who has it alone. `door` is passed by all on their way to `use`, and held by who is alone or waits for it: those that
come later wait behind it, so that it has its turn. Who waits for a turn may hold a lock of the cache (that of an
artifact which is compiled on the GPU), so nobody waits for such a lock during a turn: no two wait for each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ..terms import gpus
from ..terms.gpus import Portion

# Bytes in use on a GPU that nobody of us uses, from which they are told.
_WORTH_SAYING = 2**29
# filelock has no shared locks in the versions that we allow.
_SHARED, _ALONE = fcntl.LOCK_SH, fcntl.LOCK_EX


class Turns:
    """One pytest process's turns on its GPU.

    portion: what it has of the GPU; None without one, and then nobody waits. leave: ends its processes that keep memory
    of the GPU. progress: shows a line where it has to wait.
    """

    def __init__(
        self,
        portion: Portion | None,
        leave: Callable[[], None],
        progress: Callable[[str], None],
        folder: Path | None = None,
    ) -> None:
        self.portion = portion
        self.is_alone = False
        self._leave = leave
        self._progress = progress
        self._folder = folder or Path(tempfile.gettempdir()) / f"modelconform-gpus-{os.getuid()}"
        self._is_held = False

    @property
    def all_of_it(self) -> str:
        """The GPU with all of its memory, in words; and what programs have of it that don't wait for us."""
        if self.portion is None:
            return "the GPU"
        gpu = self.portion.gpu
        size = f" and all of its {gpu.total / 2**30:.1f} GiB" if gpu.total else ""
        used = gpus.in_use(gpu)
        others = f", of which other processes have {used / 2**30:.1f} GiB" if used >= _WORTH_SAYING else ""
        return f"{gpu.kind or 'the GPU'}{size}{others}"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Use the GPU while the block runs: beside others, or with nobody else within `alone`."""
        if self.portion is None or self._is_held:
            yield
            return
        with contextlib.ExitStack() as stack:
            use = self._wait(_ALONE if self.is_alone else _SHARED, stack)
            self._is_held = True
            try:
                yield
                if use is not None:
                    self.give_way()
            finally:
                self._is_held = False

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Have the GPU alone in each block of `held`, with all of its memory, while the block runs."""
        self._leave()
        self.is_alone = True
        try:
            yield
        finally:
            self.is_alone = False
            # They may take more than their portion.
            self._leave()

    def give_way(self) -> None:
        """End what keeps memory of the GPU, if somebody waits to have it alone. Costs microseconds."""
        if self.portion is None or self.is_alone:
            return
        with contextlib.ExitStack() as stack:
            door = self._open("door", stack)
            if door is not None and not _locked(door, _SHARED, waiting=False):
                self._leave()

    def _wait(self, kind: int, stack: contextlib.ExitStack) -> int | None:
        """Lock `use`; its descriptor, or None where no file can be written: a cell is worth more than its turn."""
        with contextlib.ExitStack() as way:
            # Who is alone keeps the door, so that others see that they shall give way.
            door = self._open("door", stack if kind == _ALONE else way)
            use = self._open("use", stack)
            if door is None or use is None:
                return None
            for descriptor in (door, use):
                if not _locked(descriptor, kind, waiting=False):
                    self._progress(_WAITS[kind])
                    _locked(descriptor, kind, waiting=True)
        return use

    def _open(self, name: str, stack: contextlib.ExitStack) -> int | None:
        assert self.portion is not None
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._folder.stat().st_uid != os.getuid():
                return None  # somebody else could keep us out for ever
            file = self._folder / f"{re.sub(r'[^A-Za-z0-9.-]', '_', self.portion.gpu.name)}.{name}"
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            return None
        stack.callback(os.close, descriptor)
        return descriptor


_WAITS = {
    _SHARED: "waiting for the GPU, which another process has alone …",
    _ALONE: "waiting to have the GPU alone …",
}


def _locked(descriptor: int, kind: int, waiting: bool) -> bool:
    try:
        fcntl.flock(descriptor, kind if waiting else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a disk without locks: as where no file can be written
    return True
