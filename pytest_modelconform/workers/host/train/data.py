"""A case as it is trained: the model in training mode, and the data that every language trains on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from pytest_modelconform.terms.case import Train
from pytest_modelconform.terms.cell import TRAINING

from ...loop import WorkerError
from .. import cast, files, kept
from ..build import Built, digest, leaf_shapes
from ..cases import explain, short_trace
from ..clones import copied
from ..forward import signature
from ..generate import Call
from ..state import seed_all

# The input set that exporters see in training: the first batch. And that of all samples, with the target last.
BATCH, DATA = "batch", "data"
_CLASSES = ("cross_entropy", "nll_loss")


def for_training(built: Built, path: str) -> Built:
    """The case in training mode, with the first batch and all data as its input sets. Raises WorkerError at build."""
    model = built.model.train()
    with files.recorded(path, built.name) as opened:
        inputs, target = _given(built, path) if train_of(built).data is not None else _drawn(built)
    _check(built, inputs, target)
    size = train_of(built).batch_size
    calls: dict[str, Call] = {BATCH: (tuple(value[:size] for value in inputs), {}), DATA: ((*inputs, target), {})}
    return replace(
        built,
        case=replace(built.case, mode="train"),
        task=TRAINING,
        inputs=calls,
        generated={},
        exporter_set=BATCH,
        input_leaves=leaf_shapes(built.name, BATCH, model, None, *calls[BATCH]),
        dynamic_shapes=None,
        digest=digest(model, calls),
        files=built.files | files.hashed(opened),
        kept=kept.state(model),
    )


def train_of(built: Built) -> Train:
    """How a case is trained. Raises WorkerError for one that says nothing of it."""
    if built.case.train is None:
        raise WorkerError(f"case {built.name!r} has no field 'train'", "collect")
    return built.case.train


def batches(inputs: Sequence[torch.Tensor], target: torch.Tensor, size: int) -> Iterator[Sequence[torch.Tensor]]:
    """Batches of (*inputs, target) in the order of the samples, for ever: after the last one, the first again."""
    # A generator of its own, since a loader draws a number of the global one for each epoch, and C++'s does not.
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(*inputs, target), batch_size=size, generator=torch.Generator()
    )
    while True:
        yield from loader


def _given(built: Built, path: str) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """What `Train(data=…)` returns, in the case's dtype."""
    where = f"case {built.name!r}, field 'train'"
    data = train_of(built).data
    assert data is not None
    seed_all(built.case.seed, built.name, "data")
    try:
        value = data()
    except BaseException as error:
        raise WorkerError(f"{where}: data: {explain(error, path)}", "build", "", short_trace(error, path)) from error
    if not isinstance(value, tuple) or len(value) != 2:
        raise WorkerError(f"{where}: data must return (inputs, target), not a {type(value).__name__}", "build")
    inputs, target = value if built.dtype == "float32" else cast.cast(value, built.dtype)
    return inputs if isinstance(inputs, tuple) else (inputs,), target


def _drawn(built: Built) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """The exporters' input set, and a target that fits the loss, drawn at random."""
    where = f"case {built.name!r}, field 'train'"
    args, kwargs = built.clone_inputs()
    if kwargs:
        named = built.by_name(args, kwargs)
        first = list(signature(built.model).parameters)[: len(named)]
        if set(first) != set(named):
            raise WorkerError(f"{where}: forward takes its inputs by keyword only: give data=…", "build")
        args = tuple(named[name] for name in first)
    if not all(isinstance(value, torch.Tensor) for value in args):
        raise WorkerError(
            f"{where}: the input set {built.exporter_set!r} holds other things than tensors, which have no samples: "
            "give data=lambda: (inputs, target)",
            "build",
        )
    loss = train_of(built).loss
    seed_all(built.case.seed, built.name, "target")
    with torch.no_grad():
        # A copy, since batch norms take note of what they see.
        output = copied(built.model)(*(value.clone() for value in args))
    if not isinstance(output, torch.Tensor):
        raise WorkerError(
            f"{where}: the model returns a {type(output).__name__}, so that no target can be drawn: "
            "give data=lambda: (inputs, target), and a function as loss",
            "build",
        )
    if loss in _CLASSES:
        if output.dim() < 2:
            raise WorkerError(
                f"{where}: {loss} takes an output of (batch, classes, …), not {tuple(output.shape)}", "build"
            )
        shape = (output.shape[0], *output.shape[2:])
        return args, torch.randint(0, output.shape[1], shape)
    if loss == "binary_cross_entropy_with_logits":
        return args, torch.randint(0, 2, output.shape).to(output.dtype)
    return args, torch.randn(output.shape, dtype=output.dtype)


def _check(built: Built, inputs: Sequence[Any], target: Any) -> None:
    where = f"case {built.name!r}, field 'train'"
    for what, value in (*((f"input {i}", value) for i, value in enumerate(inputs)), ("the target", target)):
        if not isinstance(value, torch.Tensor) or value.dim() == 0 or value.shape[0] == 0:
            raise WorkerError(f"{where}: {what} must be a tensor with samples along its first dimension", "build")
        if value.shape[0] != inputs[0].shape[0]:
            raise WorkerError(
                f"{where}: {what} has {value.shape[0]} samples, input 0 has {inputs[0].shape[0]}: give as many of each",
                "build",
            )
