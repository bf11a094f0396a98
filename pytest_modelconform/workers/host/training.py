"""The answer to `reference` for training: eager's gradients and trainings, as runs like those of reference.py."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from .. import tensors
from ..loop import Answer, WorkerError
from ..tensors import Tensor
from ..torch_tensors import encode
from . import checkpoint
from .build import Built
from .double import Jitter, moved, run_wide, widened
from .reference import JITTERED_RUNS, WIDE_RUNS, WIDE_UNITS, paths
from .state import seed_of
from .train_data import BATCH, DATA, batches, train_of

GRADIENTS, TRAINING = "gradients", "training"
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
# What a training leaves, by kind, then by name.
Results = dict[str, Any]


def make(built: Built, folder: str) -> dict[str, Any]:
    """Write `runs-gradients.safetensors` and `runs-training.safetensors`, and what trainings elsewhere need.

    Keys of the runs are as in reference.py (`e0:/parameters/layer.weight`); `start:…` are parameters and buffers before
    the first step, `again:…` a second training where it ended elsewhere. Beside them: `data.safetensors`,
    `checkpoint.safetensors` (eager's, after `resume_at` steps) and `loss.pt` where the loss is a function.
    """
    train = train_of(built)
    written: dict[str, Tensor] = {}
    *inputs, target = (encode(value, str, written, f"/{i}") for i, value in enumerate(built.inputs[DATA][0]))
    tensors.write(os.path.join(folder, "data.safetensors"), written)
    named = isinstance(train.loss, str)
    runs: dict[str, dict[str, Tensor]] = {GRADIENTS: {}, TRAINING: {}}
    entries = _eager(built, runs, os.path.join(folder, "checkpoint.safetensors"))
    if not named:
        _write_loss(built, os.path.join(folder, "loss.pt"))
    _wide(built, runs, entries)
    jitter = Jitter(built.model)
    for k in range(1, JITTERED_RUNS + WIDE_RUNS + 1):
        units = 1 if k <= JITTERED_RUNS else WIDE_UNITS
        generator = jitter.move(seed_of(built.case.seed, built.name, "train jitter", k), units)
        _add(built, f"e{k}", jitter.model, moved(built.clone_inputs(DATA)[0], generator, units), runs)
    for name, found in runs.items():
        tensors.write(os.path.join(folder, f"runs-{name}.safetensors"), found)
    return {
        "digest": built.digest,
        "files": built.files,
        "exporter_set": GRADIENTS,
        "input_leaves": built.input_leaves,
        "output_paths": paths(entries[TRAINING]["outputs"]),
        "sets": entries,
        "generated": {},
        "left_out": {},
        "tolerance": asdict(built.case.tolerance),
        "tolerances": {key: asdict(tolerance) for key, tolerance in built.case.tolerances.items()},
        "notes": built.notes,
        "parameters": sum(p.numel() for p in built.model.parameters()),
        "train": {
            "inputs": inputs,
            "target": target,
            "loss": train.loss if named else None,
            "optimizer": {"name": train.optimizer, **options(built)},
            "steps": train.steps,
            "batch_size": train.batch_size,
            "resume_at": resume_at(built),
            "seed": seed(built),
        },
    }


def resume(built: Built, request: Mapping[str, Any]) -> Answer:
    """Go on with a training from another language's `checkpoint`, and write what comes of it to `outputs`."""
    state = checkpoint.read(request["checkpoint"])
    model = copy.deepcopy(built.model)
    begin = time.perf_counter()
    results = run(built, model, built.clone_inputs(DATA)[0], resume=state)
    seconds = time.perf_counter() - begin
    written: dict[str, Tensor] = {}
    outputs = encode(results, str, written)
    tensors.write(request["outputs"], written)
    return {"seconds": seconds, "outputs": outputs}


def options(built: Built) -> dict[str, float]:
    """The optimizer's, as the case gives them: what it leaves out is each language's default, and so tried as well."""
    train = train_of(built)
    given = {"lr": float(train.lr)}
    if train.momentum:
        given["momentum"] = float(train.momentum)
    if train.weight_decay is not None:
        given["weight_decay"] = float(train.weight_decay)
    return given


def resume_at(built: Built) -> int:
    """After how many steps the checkpoint is written; 0 where there is but one step."""
    train = train_of(built)
    return train.resume_at if train.resume_at is not None else train.steps // 2


def seed(built: Built) -> int:
    """What every language seeds its generator with before the training."""
    return seed_of(built.case.seed, built.name, "train")


# ---- One training ----------------------------------------------------------------------------------------------------


def run(
    built: Built,
    model: torch.nn.Module,
    data: Sequence[torch.Tensor],
    save: str = "",
    resume: checkpoint.State | None = None,
) -> Results:
    """Train `model`, which is changed. save: the file for the checkpoint. Returns losses, parameters and buffers."""
    train, loss_of = train_of(built), _loss(built)
    loader = batches(data[:-1], data[-1], train.batch_size)
    optimizer = OPTIMIZERS[train.optimizer](model.parameters(), **options(built))
    losses = []
    torch.manual_seed(seed(built))
    first = 0
    if resume is not None:
        first = checkpoint.restore(resume, model, optimizer)
        for _ in range(first):
            next(loader)
    with torch.enable_grad():
        for step in range(first + 1, train.steps + 1):
            *inputs, target = next(loader)
            optimizer.zero_grad()
            loss = loss_of(model(*inputs), target)
            _check_loss(built, loss)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
            if save and step == resume_at(built):
                checkpoint.write(save, model, optimizer, step)
    return {"loss": torch.stack(losses), **state_of(model)}


def gradients(built: Built, model: torch.nn.Module, data: Sequence[torch.Tensor]) -> Results:
    """The loss of the first batch, and its gradients: None for a parameter that gets none."""
    *inputs, target = next(batches(data[:-1], data[-1], train_of(built).batch_size))
    torch.manual_seed(seed(built))
    model.zero_grad()
    with torch.enable_grad():
        loss = _loss(built)(model(*inputs), target)
        _check_loss(built, loss)
        loss.backward()
    found = {name: value.grad for name, value in model.named_parameters()}
    return {"loss": loss.detach(), "gradients": {k: None if g is None else g.clone() for k, g in found.items()}}


def state_of(model: torch.nn.Module) -> dict[str, dict[str, torch.Tensor]]:
    """Parameters and buffers of a model, copied, by name."""
    return {
        "parameters": {name: value.detach().clone() for name, value in model.named_parameters()},
        "buffers": {name: value.detach().clone() for name, value in model.named_buffers()},
    }


def _loss(built: Built) -> Callable[[Any, torch.Tensor], torch.Tensor]:
    loss = train_of(built).loss
    return getattr(torch.nn.functional, loss) if isinstance(loss, str) else loss


def _check_loss(built: Built, loss: Any) -> None:
    where = f"case {built.name!r}, field 'train'"
    if not isinstance(loss, torch.Tensor) or loss.dim():
        what = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
        raise WorkerError(
            f"{where}: the loss is {what}; it has to be a tensor without dimensions: .mean()?", "reference"
        )
    if not loss.requires_grad:
        raise WorkerError(f"{where}: the loss depends on no parameter that requires a gradient", "reference")


def _write_loss(built: Built, file: str) -> None:
    """Trace the loss, for languages that have no Python. Raises WorkerError where it can't be traced."""
    model = copy.deepcopy(built.model)
    with torch.no_grad():
        output = model(*built.clone_inputs(BATCH)[0])
    target = built.inputs[DATA][0][-1][: train_of(built).batch_size]
    try:
        traced = torch.jit.trace(_loss(built), (output, target), strict=False, check_trace=False)
        torch.jit.save(traced, file)
    except Exception as error:
        raise WorkerError(
            f"case {built.name!r}, field 'train': the loss can't be traced: {type(error).__name__}: {error}",
            "reference",
        ) from error


# ---- The runs --------------------------------------------------------------------------------------------------------


def _eager(built: Built, runs: dict[str, dict[str, Tensor]], save: str) -> dict[str, dict[str, Any]]:
    """Add eager's runs and what they began with; write its checkpoint. Returns what `sets` says of both."""
    data = built.clone_inputs(DATA)[0]
    entries: dict[str, dict[str, Any]] = {}
    first: dict[str, Tensor] = {}
    with _named(built, "the model can't be trained"):
        for name, results, seconds in _both(built, built.model, data, save if resume_at(built) else ""):
            found: dict[str, Tensor] = {}
            entries[name] = {"outputs": encode(results, str, found), "seconds": seconds, "impure": ""}
            runs[name].update((f"e0:{path}", tensor) for path, tensor in found.items())
            first |= {f"{name}{path}": tensor for path, tensor in found.items()}
    torch.manual_seed(seed(built))
    generator = torch.get_rng_state()
    again: dict[str, Tensor] = {}
    for name, results, _ in _both(built, built.model, data):
        encode(results, f"{name}{{}}".format, again)
    entries[TRAINING]["draws"] = not torch.equal(generator, torch.get_rng_state())
    for path, tensor in again.items():
        if first.get(path) != tensor:
            name, _, rest = path.partition("/")
            runs[name][f"again:/{rest}"] = tensor
    start: dict[str, Tensor] = {}
    encode(state_of(built.model), str, start)
    runs[TRAINING].update((f"start:{path}", tensor) for path, tensor in start.items())
    shared: dict[str, Any] = {"args": [], "kwargs": [], "leaves": [], "inputs_changed": []}
    return {name: {**shared, **entry} for name, entry in entries.items()}


def _both(
    built: Built, model: torch.nn.Module, data: Sequence[torch.Tensor], save: str = ""
) -> Iterator[tuple[str, Results, float]]:
    """Gradients, then a training, each of a copy of `model`."""
    for name in (GRADIENTS, TRAINING):
        trained = copy.deepcopy(model)
        begin = time.perf_counter()
        results = gradients(built, trained, data) if name == GRADIENTS else run(built, trained, data, save)
        yield name, results, time.perf_counter() - begin


def _add(
    built: Built,
    run_name: str,
    model: torch.nn.Module,
    data: Sequence[torch.Tensor],
    runs: dict[str, dict[str, Tensor]],
) -> None:
    for name, results, _ in _both(built, model, data):
        found: dict[str, Tensor] = {}
        encode(results, str, found)
        runs[name].update((f"{run_name}:{path}", tensor) for path, tensor in found.items())


def _wide(built: Built, runs: dict[str, dict[str, Tensor]], entries: dict[str, dict[str, Any]]) -> None:
    """Add the float64 runs; what makes them unfit as a reference goes into the entries."""
    steps: dict[str, Callable[..., Results]] = {GRADIENTS: gradients, TRAINING: run}
    for name, step in steps.items():
        call = partial(_called, step, built)
        results, impure = run_wide(widened(built.model), built.clone_inputs(DATA)[0], {}, call)
        entries[name]["impure"] = impure
        if results is not None:
            found: dict[str, Tensor] = {}
            encode(results, str, found)
            runs[name].update((f"r:{path}", tensor) for path, tensor in found.items())


def _called(
    step: Callable[..., Results], built: Built, model: torch.nn.Module, data: Sequence[torch.Tensor], nothing: Any
) -> Results:
    """As run_wide calls: with args and kwargs."""
    return step(built, model, data)


@contextmanager
def _named(built: Built, what: str) -> Iterator[None]:
    """Say what failed of which case."""
    try:
        yield
    except WorkerError:
        raise
    except Exception as error:
        raise WorkerError(f"case {built.name!r}: {what}: {type(error).__name__}: {error}", "reference") from error
