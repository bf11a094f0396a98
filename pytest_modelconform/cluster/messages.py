"""What the parts of a run on several machines tell each other. Ray and pipes carry them as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .environment import Facts


@dataclass(frozen=True)
class Start:
    """What a pytest process on a node begins with.

    session: its name. root, place: of the project and of where the run was started, as paths on that node. arguments,
    option: pytest's, as this process parsed them. workerinput: what xdist's processes are told. variables: of the
    environment, those that results depend on. earlier: the log that the run goes on with, compressed; empty for none.
    """

    session: str
    root: str
    place: str
    arguments: Sequence[str]
    option: Mapping[str, Any]
    workerinput: Mapping[str, Any]
    variables: Mapping[str, str]
    earlier: bytes = b""


@dataclass(frozen=True)
class Order:
    """To a pytest process: run these items, by their node ids."""

    items: Sequence[str]


@dataclass(frozen=True)
class Finish:
    """To a pytest process: end the session."""


@dataclass(frozen=True)
class Lease:
    """From a Ray task to its node: run a group.

    case: of its cells, for a process that knows it. peers: ids of nodes that may have what was made for it. visible:
    CUDA_VISIBLE_DEVICES as Ray has set it, or None.
    """

    case: str
    items: Sequence[str]
    peers: Sequence[str] = ()
    visible: str | None = None


@dataclass(frozen=True)
class Ready:
    """From a pytest process: it has begun, in this environment."""

    facts: Facts


@dataclass(frozen=True)
class Begun:
    """A cell runs."""

    item: str


@dataclass(frozen=True)
class Done:
    """A cell has ended. reports: those of its setup, call and teardown, as pytest serialises them."""

    item: str
    reports: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Told:
    """What the terminal is to show: of what is built or installed, or waits. text: lines."""

    text: str


@dataclass(frozen=True)
class Absent:
    """A cell is not there: the node collects something else."""

    item: str
    why: str


@dataclass(frozen=True)
class Bring:
    """From a pytest process: does another node have this entry of the cache? The answer is a bool.

    folder: of the cache, where it is put.
    """

    kind: str
    name: str
    folder: str


@dataclass(frozen=True)
class Ended:
    """All items of a group have ended, or been told of."""


@dataclass(frozen=True)
class Died:
    """The pytest process that ran a group is gone. how: "was ended by signal 9", and its last words."""

    how: str


@dataclass(frozen=True)
class Left:
    """From a pytest process, at its end: what xdist calls its output."""

    workeroutput: Mapping[str, Any]


@dataclass(frozen=True)
class Farewell:
    """Of a node, at the end. files: what its processes left for the end of the run (shared.py), by relative path."""

    outputs: Sequence[Mapping[str, Any]] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)


FromProcess = Ready | Begun | Told | Done | Absent | Bring | Ended | Left
