"""What one process does for a stranger: run the adversary, or inject faults."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pytest_modelconform.cells.answers import Run
from pytest_modelconform.references.model_check import ModelFault
from pytest_modelconform.references.prepared import InputSet
from pytest_modelconform.terms.tolerances import limits
from pytest_modelconform.workers.host.build import build
from pytest_modelconform.workers.loop import WorkerError

from .. import detection
from ..faults.artifact import TorchArtifact, read_inputs
from ..faults.clean import NOT_COMPARABLE
from ..faults.judge import Record, clean_record
from ..faults.mutants import Faulty, NotApplicable
from ..faults.subject import prepare, subject, temporary
from .adversary import Memory, faithful
from .parts import ADVERSARY, MUTANTS, Part
from .population import Subject as Stranger

CHOICES = (("torchscript-trace",), ("onnx-legacy",))
ADVERSARY_FAILED = "adversary failed"


@dataclass(frozen=True)
class Task:
    """What is done: for a stranger, so many cells of a kind. explained: how many red mutants are diagnosed."""

    stranger: Stranger
    kind: str
    count: int
    explained: int
    seed: int
    folder: Path

    @property
    def part(self) -> Part:
        """Where the results go."""
        return Part(self.folder, self.kind, self.stranger.case)


def examine(task: Task) -> None:
    """The whole work of a process."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    # Exporters print graphs.
    with (task.folder / "output.txt").open("a") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    task.part.begin()
    begin = time.monotonic()
    file = task.stranger.write(task.folder / "cases" / "own", generated=False)
    with temporary() as folder:
        if task.kind == ADVERSARY:
            for record in adversary(task, file, Path(folder)):
                task.part.record(record)
        elif task.kind == MUTANTS:
            for record in mutants(task, file, Path(folder)):
                task.part.record(record)
    task.part.put(done=time.monotonic() - begin)


# -- the faithful adversary --------------------------------------------------------------------------------------------


def adversary(task: Task, file: Path, folder: Path) -> Iterator[Record]:
    """Draws of the adversary, each judged over all input sets. A model that has no references gives one record."""
    base = Record(task.stranger.name, ADVERSARY, "", "eager", ADVERSARY, NOT_COMPARABLE)
    begin = time.monotonic()
    try:
        built = build(str(file), file.name, task.stranger.case)
        prepared = prepare(built, folder)
    except (WorkerError, ModelFault) as error:
        yield replace(base, message=str(error)[:300])
        return
    bits_lost, worst = limits(prepared.tolerance, built.dtype)
    tolerance = replace(prepared.tolerance, bits_lost=bits_lost, worst=worst)
    task.part.put(prepared=time.monotonic() - begin)
    memory = Memory()
    for k in range(task.count):
        seed = f"{task.seed}:{task.stranger.name}:{k}"
        faulty = drawn(TorchArtifact("eager", built.model), seed, memory)
        record = replace(base, where=f"draw {k}")
        try:
            yield clean_record(record, faulty, prepared.sets, tolerance)
        except NotApplicable as error:
            yield replace(record, verdict=ADVERSARY_FAILED, message=str(error)[:300])


def drawn(artifact: TorchArtifact, seed: str, memory: Memory) -> Faulty:
    """A model in the adversary's hands. What the adversary itself can't do is NotApplicable: no verdict on anybody."""

    @contextlib.contextmanager
    def around() -> Iterator[None]:
        with faithful(seed, memory):
            yield

    within = artifact.with_around(around)

    def runs(entry: InputSet) -> list[Run]:
        try:
            return [within.run(entry, read_inputs(entry))]
        except Exception as error:
            raise NotApplicable(f"{type(error).__name__}: {error}") from error

    return Faulty(runs, runs)


# -- mutants -----------------------------------------------------------------------------------------------------------


def mutants(task: Task, file: Path, folder: Path) -> Iterator[Record]:
    """Faults in the stranger's artifacts, judged as those in our cases; a sample of the red ones is diagnosed."""
    base = Record(task.stranger.name, "references", "", "", "", NOT_COMPARABLE)
    try:
        case = subject(file, file.parent, task.stranger.case, folder / "case", choices=CHOICES)
    except (WorkerError, ModelFault) as error:
        yield replace(base, message=str(error)[:300])
        return
    case = replace(case, name=task.stranger.name)
    task.part.put(left_out=dict(case.left_out))
    seed = f"{task.seed}:{task.stranger.name}"
    yield from detection.injected(case, task.count, seed, task.explained, folder / "diagnosis")
