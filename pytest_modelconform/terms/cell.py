"""What is tried: a case, and the cells that it has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .case import TORCH

EAGER = "eager"
COLLECT = "collect"
# How a runtime computes: as exactly as it can, or as whoever ships its fast mode.
FULL, FAST = PRECISIONS = ("full", "fast")
# What a cell tries: the model's outputs; or, for a case with `train`, the gradients after one backward pass, the
# parameters after some steps, and the same across a checkpoint that is written in one language and read in another.
# For a case with `sequence` the outputs of several calls, each fed with what the one before returned.
INFERENCE, SEQUENCE, GRADIENTS, TRAINING, RESUME = TASKS = (
    "inference",
    "sequence",
    "gradients",
    "training",
    "resume",
)


@dataclass(frozen=True)
class Cell:
    """Case x format x runtime x device (x dtype x precision): one pytest item, one square of the matrix.

    file: path of the case file as in pytest's node id. case: the case's name. The model check (`case[eager]`) has
    format and runtime `eager`; what stands for a whole file (`stem[collect]`) has format and runtime `collect`.
    precision: "full" or "fast"; task: "inference", "sequence", "gradients", "training" or "resume": see
    docs/verdicts.md. The model check of all that trains has task "training".
    """

    file: str
    case: str
    format: str
    runtime: str
    device: str = "cpu"
    dtype: str = "float32"
    precision: str = FULL
    task: str = INFERENCE

    @property
    def name(self) -> str:
        """The item's name: `resnet18[onnx-ort_cpp-cpu]`, or `resnet18[onnx-ort_cpp-cpu-bfloat16-fast]`."""
        parts = [self.format]
        if not self.is_check:
            parts = [name.replace("-", "_") for name in (self.format, self.runtime, self.device)]
        others = ((self.dtype, "float32"), (self.precision, FULL), (self.task, INFERENCE))
        parts += [word for word, usual in others if word != usual]
        return f"{self.case}[{'-'.join(parts)}]"

    @property
    def id(self) -> str:
        """The node id: `cases/vision/resnet.py::resnet18[onnx-ort_cpp-cpu]`."""
        return f"{self.file}::{self.name}"

    @property
    def reference_task(self) -> str:
        """Of what the references are that this cell rests on: all that trains has them in common."""
        return self.task if self.task in (INFERENCE, SEQUENCE) else TRAINING

    @property
    def artifact_task(self) -> str:
        """For what its artifact is exported: a sequence runs the one that single calls run, too."""
        return INFERENCE if self.reference_task == SEQUENCE else self.reference_task

    @property
    def is_check(self) -> bool:
        """Whether this is the model check or a file's item rather than a format in a runtime."""
        return self.runtime in (EAGER, COLLECT)


@dataclass(frozen=True)
class CaseRef:
    """Where a case is: its file, that file's path relative to the root, its name; and the dtype that it is cast to.

    precision: "fast" for the references of runtimes' fast modes. Everything else is made for "full".
    task: "training" for all that is made for gradients, training and resuming, "sequence" for the references of steps.
    framework: what it is written in. operators: what registers operators of its own, by kind, see `terms/operators.py`.
    own: columns whose artifacts the case makes itself or has as files (`terms.exports.OWN`).
    """

    file: Path
    relative: str
    name: str
    dtype: str = "float32"
    precision: str = FULL
    task: str = INFERENCE
    framework: str = TORCH
    operators: tuple[tuple[str, tuple[str, ...]], ...] = ()
    own: tuple[str, ...] = ()

    @property
    def check(self) -> str:
        """The name of the case's model check."""
        return Cell(self.relative, self.name, EAGER, EAGER, dtype=self.dtype, task=self.task).name
