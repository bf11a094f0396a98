"""Whether the kernel has ended a process since memory ran out: it counts these, and tells nobody else."""

from __future__ import annotations

from pathlib import Path

from . import capacity

_PROC = Path("/proc")


class Kills:
    """Those since the last question. proc: where Linux tells of processes."""

    def __init__(self, proc: Path = _PROC) -> None:
        self._proc = proc
        self._known = self._count()

    def any_more(self) -> bool:
        """Whether there has been one since this was asked last, in a control group of ours or, without, anywhere."""
        before, self._known = self._known, self._count()
        return any(now > then for now, then in zip(self._known, before, strict=False))

    def _count(self) -> list[int]:
        # Those of other containers are none of ours: who is in a group that counts looks there only.
        return capacity.kills(self._proc) or capacity.kills_anywhere(self._proc)
