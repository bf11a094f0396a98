"""What a session was asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..terms.exports import Given


@dataclass(frozen=True)
class Settings:
    """What the session was asked for. Names are as given: they are checked against the registry elsewhere.

    threads: numbers of threads to run artifacts from at once; empty: none. threads_asked: whether the command line says
    so, and none of them is left out to save time. shard: index, from 1, and count. durations: a
    file of what cells took elsewhere. resume: a log, whose cells need not run again. memory: bytes that the run may
    take, None for what the machine has; memory_off: cells are tried whatever they are estimated to take. timeout: of
    one cell, in seconds.
    strict: whether what is imprecise fails. typed: which of these stand on this run's own command line, rather than in
    an ini file or in `addopts`. exports: options for exporters, by column. blame: seconds for which a red cell's guilty
    operator is looked for, 0 for not at all. blame_asked: whether somebody asked for that, and all of them are taken.
    """

    formats: Sequence[str]
    runtimes: Sequence[str]
    devices: Sequence[str]
    precisions: Sequence[str]
    require: Sequence[str]
    threads: Sequence[int]
    threads_asked: bool
    shard: tuple[int, int] | None
    json: Path | None
    html: Path | None
    log: Path | None
    timeout: float
    cache: Path
    inline: bool
    strict: bool
    update_expected: bool
    typed: Collection[str] = ()
    exports: Mapping[str, Given] = field(default_factory=dict)
    blame: float = 0.0
    blame_asked: bool = False
    durations: Path | None = None
    resume: Path | None = None
    memory: int | None = None
    memory_off: bool = False
