"""What the case host says of a case, as types: the JSON of its answer and of the cache, checked where it comes in.

Names of fields are those on the wire and in the cache. The case host itself answers with plain dicts
(workers/host/references/runs.py, workers/host/train/training.py): it also runs where msgspec isn't installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..compare import Tree
from ..terms.case import Tolerance

# What a process has looked for among the installed packages (workers/lookups.py).
Packages = dict[str, Any]


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """The case host's answer to `packages`: a record of workers/lookups.py."""

    packages: Packages


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor among the inputs of a set.

    path: its key in the set's file, "/args/0". shape: its lengths. name: by forward's parameters, "x".
    """

    path: str
    shape: list[int]
    name: str = ""


class InputLeaf(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor among the inputs that exporters see.

    path: as in `Leaf`. dtype: its name, "float32". shape: with the names of dynamic dimensions in place of lengths.
    actual: the lengths.
    """

    path: str
    dtype: str
    shape: list[int | str]
    actual: list[int]


class Generated(msgspec.Struct, frozen=True, array_like=True):
    """Of an input set that isn't the case's own. A list of two on the wire.

    why: what it is for, as messages say it. may_refuse: whether an artifact that refuses it keeps within what the case
    promises.
    """

    why: str
    may_refuse: bool


class SetEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An input set, or one kind of training: how it is called and what comes out.

    args, kwargs: trees of the call; keys of tensors are those in the set's file, and kwargs are pairs of name and tree.
    outputs: eager's tree; its keys are paths. leaves: the tensors of the inputs. inputs_changed: paths of those that
    the model writes to. seconds: what eager took. impure: why there is no float64 reference, or "". constants: what
    else forward is given, of defaults, too: by parameter, as Python writes it.
    """

    args: list[Tree]
    kwargs: list[list[Any]]
    outputs: Tree
    leaves: list[Leaf]
    inputs_changed: list[str]
    seconds: float
    impure: str
    constants: dict[str, str] = {}


class InferenceSet(SetEntry, frozen=True, kw_only=True):
    """An input set that the model was run on.

    state_changed: names of the parameters and buffers that a call writes to. views: paths of the outputs that share
    memory with an input. repeats: whether a second call with the same seeds gave the same bits.
    """

    state_changed: list[str]
    views: list[str]
    repeats: bool


class TrainingSet(SetEntry, frozen=True, kw_only=True):
    """Gradients, or a training. draws: whether the training draws random numbers; said of trainings only."""

    draws: bool = False


class Unseen(msgspec.Struct, frozen=True, kw_only=True):
    """What a case can't see (workers/host/references/blind_spots.py).

    tensors: how many the model has. unseen: names of those in which a change of 1 % would pass; constant: those among
    them that hold one value only. skipped: why they weren't looked for, or "".
    """

    tensors: int
    unseen: list[str]
    skipped: str
    constant: list[str] = []


class TrainEntry(msgspec.Struct, frozen=True, kw_only=True):
    """How a case is trained, as workers are asked to.

    inputs, target: trees whose keys are those of the tensors in `data.safetensors`, all samples. loss: its name; None
    for a function, which is in `loss.pt`. optimizer: `name`, and options by PyTorch's names. steps, batch_size: as in
    `Train`. resume_at: the step after which a checkpoint is written; 0 for none. seed: of every language's generator.
    """

    inputs: list[Tree]
    target: Tree
    loss: str | None
    optimizer: Mapping[str, Any]
    steps: int
    batch_size: int
    resume_at: int
    seed: int


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a case that was built.

    digest: of parameters, buffers and inputs. exporter_set: the input set that exporters see. input_leaves: the tensors
    of that. output_paths: of eager's outputs for it, in order. sets: by name. generated: the sets that aren't the
    case's own. left_out: why some of these can't be had, by name. framework: what the case is written in. tolerance,
    tolerances: the case's, see `Case`. notes: what is worth knowing, as sentences. parameters: how many numbers they
    are.
    """

    digest: str
    exporter_set: str
    input_leaves: list[InputLeaf]
    output_paths: list[str]
    sets: Mapping[str, SetEntry]
    generated: Mapping[str, Generated]
    left_out: Mapping[str, str]
    framework: str
    tolerance: Tolerance
    tolerances: Mapping[str, Tolerance]
    notes: list[str]
    parameters: int


class Inference(Content, frozen=True, kw_only=True):
    """Of a case whose outputs are compared.

    blind_ok: whether an output without information is all right. accept: what of the model's behaviour is meant, of
    `ACCEPTED` in terms/case.py. outputs: how many the model has, over all sets; blind: those that no set shows anything
    of, and what they are there. Both come with the references. dropout: names of the modules that drop numbers out,
    as the model is called.
    """

    sets: Mapping[str, InferenceSet]
    blind_ok: bool
    dropout: list[str] = []
    accept: list[str]
    unseen: Unseen
    outputs: int = 0
    blind: Mapping[str, str] = {}


class Wire(msgspec.Struct, frozen=True, array_like=True):
    """A tensor that goes from a step to the next. A list of two on the wire.

    taken: its path in the call, "/args/1/0". returned: that in the result, "/present/0".
    """

    taken: str
    returned: str


class Steps(Inference, frozen=True, kw_only=True):
    """Of a case that is run step by step: the sets are its steps, "step-1" first, with eager's state as inputs.

    wires: what is fed back. exported: the tensors of the inputs that exporters see. lost: those of `wires`, by `taken`,
    that a step may lose without a difference.
    """

    wires: list[Wire]
    exported: list[Leaf]
    lost: list[str]


class Training(Content, frozen=True, kw_only=True):
    """Of a case that is trained: the sets are `gradients` and `training`."""

    sets: Mapping[str, TrainingSet]
    train: TrainEntry


# -- answers of the case host ------------------------------------------------------------------------------------------


class InferenceAnswer(Inference, frozen=True, kw_only=True):
    """The answer to `reference`.

    files: hashes of all files that the case depends on, by path. packages: a record of workers/lookups.py.
    One that is empty never holds.
    """

    files: Mapping[str, str]
    packages: Packages = {}


class StepsAnswer(Steps, frozen=True, kw_only=True):
    """The same for a case that is run step by step."""

    files: Mapping[str, str]
    packages: Packages = {}


class TrainingAnswer(Training, frozen=True, kw_only=True):
    """The same for a case that is trained."""

    files: Mapping[str, str]
    packages: Packages = {}


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `export`. seconds: what the exporter took. bytes: the size of what it wrote. packages: as above.

    files: hashes of what a case's own export was made from besides the files of the case, by path.
    """

    seconds: float
    bytes: int
    packages: Packages = {}
    files: Mapping[str, str] = {}


class Converted(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `convert`, also of other packages' converters.

    signature: of the artifact. seconds, packages: as above; packages is None where nobody has watched.
    """

    signature: dict[str, Any]
    seconds: float = 0.0
    packages: Packages | None = None


class Resumed(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `resume`. outputs: the tree of what the training leaves. seconds: what it took."""

    outputs: Tree
    seconds: float


class ProgramAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `program`.

    operators: fields of each `Operator` in terms/program.py; stopped: those of one. way, problem, parents, stopped:
    as in `Program`. static: whether its sizes are fixed, though the case's are not; `problem` then says why.
    returned: the operators (or inputs) that the model's outputs come from, one an output. sets: the input sets that
    parts can be run on. exporter_set: the one that exporters see. results: how many tensors the result of an
    operator is, by name, if not one. constants: operators that depend on weights alone.
    """

    operators: list[dict[str, Any]]
    way: str
    problem: str
    static: bool = False
    parents: Mapping[str, str] = {}
    stopped: dict[str, Any] | None = None
    returned: list[str] = []
    sets: list[str] = []
    exporter_set: str = ""
    results: Mapping[str, int] = {}
    constants: list[str] = []


class VariantEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A variant of the model that was run for a diagnosis. name, kind, sentence: as in diagnosis/nearest.py.

    file: the name of the file that has its outputs, by path.
    """

    name: str
    kind: str
    sentence: str
    file: str


class Variants(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `diagnose`. skipped: why some variants weren't run, by name."""

    variants: list[VariantEntry]
    skipped: Mapping[str, str]


class MoreNoise(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `noise`. runs: how many further noisy runs there was time for."""

    runs: int
