"""What a case author imports: `Case`, `Tolerance`, `Train` and `generic_weights`. Imports neither torch nor numpy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from .exports import Export
from .operators import Operators
from .sequence import Sequence

if TYPE_CHECKING:
    import torch

Module = TypeVar("Module", bound="torch.nn.Module")


# (bits_lost, worst) where a tolerance leaves them out, by dtype. These are all dtypes that a case can be built in.
# Measured: docs/tolerance.md. Noise is the envelope of faithful arithmetic, so that little more may be lost.
DEFAULTS: dict[str, tuple[float, float]] = {
    "float32": (1.5, 4.0),
    "float64": (1.5, 4.0),
    "float16": (1.5, 4.0),
    "bfloat16": (1.5, 4.0),
    "int8": (1.5, 4.0),
}


# The dtype of a row whose model PyTorch has quantised: no cast, and inputs and outputs stay float32.
INT8 = "int8"

# What a model may be written in, and what its twins may be.
Framework = Literal["torch", "onnx", "jax", "keras", "tensorflow"]
FRAMEWORKS: tuple[str, ...] = get_args(Framework)
TORCH = "torch"
TWINS = ("keras", "jax")
# Fields of a `Case` that bring cells which others don't have.
OPTIONAL = ("cpp", "train", "sequence")
# What a tag looks like.
TAG = re.compile(r"[a-z0-9_]+")
# Markers of pytest itself, which a tag would shadow.
TAKEN_TAGS = {"skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings", "tryfirst", "trylast"}
# What of a model's behaviour a case may accept; see `Case.accept`.
MUTATES_INPUTS, LAYOUT = ACCEPTED = ("mutates-inputs", "layout")
# Whether `.eval()` is called on the model.
Mode = Literal["eval", "train"]
MODES: tuple[str, ...] = get_args(Mode)
# What `Train(optimizer=…)` takes.
Optimizer = Literal["sgd", "adam", "adamw"]
OPTIMIZERS: tuple[str, ...] = get_args(Optimizer)

# What `Train(loss=…)` takes by name, as in torch.nn.functional.
LOSSES = (
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "cross_entropy",
    "nll_loss",
    "binary_cross_entropy_with_logits",
)


@dataclass(frozen=True)
class Tolerance:
    """How far a runtime's numbers may be from the reference. See docs/verdicts.md for the formulas.

    bits_lost: largest log2(error / noise of faithful arithmetic), as root mean square over any group of elements.
    worst: the same for the single worst element. None, for either: the dtype's default, see `DEFAULTS`.
    rtol, atol: if given, replace the rule by |y - r| <= atol + rtol * |r| for every element.
    cosine: if given, replaces the rule by a least cosine similarity over each tensor (-1 to 1).
    bits: if given, replaces the rule by how many bits of each tensor have to be right at least, log2 of its root mean
        square over the error's; of integers and bools, one in 2^bits may differ. For models that were made less exact.
        What would pass without it passes.
    levels: how far off an integer of 8 bits may be: the grey level of a pixel, or a quantised number. None: not at all.
        All other integers, which may be indices, must be equal.
    reason: why; shown with the cell. A tolerance for one runtime has to have one.
    strict: what is imprecise (beyond `bits_lost` or `worst`, but close on the tensor's own scale) fails, too.
    """

    bits_lost: float | None = None
    worst: float | None = None
    rtol: float | None = None
    atol: float | None = None
    cosine: float | None = None
    bits: float | None = None
    levels: float | None = None
    reason: str = ""
    strict: bool = False


@dataclass(frozen=True, kw_only=True)
class Train:
    """How a case is trained: by eager PyTorch, and by runtimes that train. See docs/verdicts.md.

    loss: name of a function of torch.nn.functional, one of `LOSSES`, with its default arguments; or a function of the
        model's output and the target that returns a tensor without dimensions and can be traced.
    optimizer: "sgd", "adam" or "adamw", with PyTorch's defaults but for `lr`, `momentum` (sgd only) and `weight_decay`.
    steps: how many batches are learnt from, in order; after the last sample comes the first again.
    batch_size: samples a step. resume_at: the step after which the checkpoint is written; None: half of them.
    data: a function without arguments that returns (inputs, targets), each with the samples along the first
        dimension: inputs as a tensor, or a tuple of them for several arguments; None: the exporters' input set, with
        targets that fit the loss, drawn at random.
    """

    loss: str | Callable[[Any, torch.Tensor], torch.Tensor]
    optimizer: Optimizer
    lr: float
    steps: int
    batch_size: int = 2
    momentum: float = 0.0
    weight_decay: float | None = None
    resume_at: int | None = None
    data: Callable[[], tuple[Any, torch.Tensor]] | None = None


# Who is told of each case that is made: whoever imports a case file, and looks for those that have no name in it.
hearing: list[Callable[[Case], None]] = []


@dataclass(frozen=True, kw_only=True)
class Case:
    """One model with its inputs and tolerance.

    model: a function without arguments that returns the `torch.nn.Module`, or the model of another `framework`; a class
        that needs no arguments is one. It is seeded before the call.
    inputs: functions without arguments by name of the input set; each returns a tuple (positional arguments) or a
        dict (keyword arguments) for the model. The first set that varies every dynamic dimension is the one that
        exporters see; the others check that the export generalises.
    dynamic_shapes: torch.export's notation; a string in place of a `Dim` names one that is shared by name.
    dtypes: what the model and its inputs are cast to, each with cells of its own: "float32", "float16", "bfloat16",
        "float64".
    tolerance: `Tolerance(...)`; the default depends on the dtype.
    tolerances: others in its place, by name of a runtime (with a reason), "fast", or a dtype, in this order.
    tags: become pytest markers; `[a-z0-9_]+`.
    paper: citation or link.
    requires: packages that the case needs, as pip names them (`"transformers>=5"`); without them it is `unavailable`.
    mode: "eval" (default) or "train": whether `.eval()` is called on the model.
    blind_ok: the reason why an output that is constant or all zero is right for this case.
    accept: reasons by what the model does that would else be an error of `case[eager]`: "mutates-inputs" (writes to its
        inputs) or "layout" (gives other numbers for transposed inputs).
    fixed_inputs: the reason why no further input sets (other values, sizes, transposed tensors) are generated.
    cpp: a C++ source, relative to the case file, that implements the model with `torch::nn`: see docs/cpp-frontend.md.
    twins: functions by framework ("keras", "jax") that make the same model there: each is called with the weights,
        numpy arrays by the names of `state_dict()`, and returns the model with these poured into it, as `framework`
        takes it. It is then run in its own framework and compared with PyTorch.
    train: `Train(...)`: cells for gradients, training and resuming a training are added, see docs/verdicts.md.
    operators: `Operators(...)`: what registers the operators of one's own that the model calls, see
        docs/own-operators.md.
    exports: how formats are made: `Export(...)` by format ("onnx"), which changes that column, or by format and variant
        ("onnx@opset18"), which adds one. See docs/exports.md.
    sequence: `Sequence(...)`: cells are added that run the model step by step, with its own outputs fed back.
    files: further files that the model is built from, where Python can't see them being opened.
    seed: changes every random number of the case.
    framework: what the model is written in: "torch", "onnx" (the model is a path or an `onnx.ModelProto`), "jax" (a
        pair of a function and its parameters), "keras" or "tensorflow". Its own eager result is the reference.
    """

    model: Callable[[], torch.nn.Module]
    inputs: Mapping[str, Callable[[], tuple[Any, ...] | dict[str, Any]]]
    dynamic_shapes: Any = None
    dtypes: tuple[str, ...] = ("float32",)
    tolerance: Tolerance = field(default_factory=Tolerance)
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    paper: str = ""
    requires: tuple[str, ...] = ()
    mode: Mode = "eval"
    blind_ok: str = ""
    accept: Mapping[str, str] = field(default_factory=dict)
    fixed_inputs: str = ""
    cpp: str | None = None
    twins: Mapping[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
    train: Train | None = None
    operators: Operators | None = None
    exports: Mapping[str, Export] = field(default_factory=dict)
    sequence: Sequence | None = None
    files: tuple[str, ...] = ()
    seed: int = 0
    framework: Framework = "torch"

    def __post_init__(self) -> None:
        for hear in hearing:
            hear(self)


def generic_weights(module: Module, seed: int = 0) -> Module:
    """Give every parameter of `module` a generic value, in place, and return the module.

    Freshly initialised models are special: biases are 0, norms are 1, some heads are all zero (torchvision's ViT), so
    that a converter which drops a bias or swaps two norms goes unseen. Afterwards no parameter is constant, and the
    running statistics of batch norms are away from 0 and 1. The values depend only on the seed, the parameter's name
    and its shape.
    """
    from .generic_weights import fill

    fill(module, seed)
    return module


def twin(framework: str) -> str:
    """What a twin in a framework is called, among what a case has and as the name of its format."""
    return f"twin-{framework}"


# All that a case may have.
EVERYTHING = (*OPTIONAL, *map(twin, TWINS))
