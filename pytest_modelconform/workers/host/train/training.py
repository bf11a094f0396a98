"""The answer to `reference` for training: eager's gradients and trainings, as runs like those of reference.py."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from pytest_modelconform.terms import runs
from pytest_modelconform.terms.cell import GRADIENTS, TRAINING

from ... import tensors
from ...loop import Answer, WorkerError
from ...tensors import Tensor
from ...torch_tensors import encode
from ..build import Built
from ..clones import copied
from ..noise.call import Draws
from ..noise.mode import Magnitudes, OperatorNoise, in_sight
from ..references.float64 import run_wide, widened
from ..references.runs import paths
from ..state import seed_of
from . import checkpoint
from .data import BATCH, DATA, train_of
from .loop import Results, gradients, loss_of, options, resume_at, run, seed, state_of

# Trainings elsewhere are made by kernels that add in blocks and lanes. Sums of thousands of terms from left to right
# would move units over the kink of their ReLU, and hide errors of 4 % in what a ResNet learns.
LONGEST = 16.0


def make(built: Built, folder: str) -> dict[str, Any]:
    """Write `runs-<gradients or training>-<run>.safetensors`, and what trainings elsewhere need.

    Keys of the runs are as in reference.py (`e0:/parameters/layer.weight`); `start:…` are parameters and buffers before
    the first step, `again:…` a second training where it ended elsewhere. Beside them: `data.safetensors`,
    `checkpoint.safetensors` (eager's, after `resume_at` steps) and `loss.pt` where the loss is a function.
    """
    train = train_of(built)
    written: dict[str, Tensor] = {}
    *inputs, target = (encode(value, str, written, f"/{i}") for i, value in enumerate(built.inputs[DATA][0]))
    tensors.write(os.path.join(folder, runs.DATA_FILE), written)
    named = isinstance(train.loss, str)
    entries = _eager(built, folder)
    if not named:
        _write_loss(built, os.path.join(folder, runs.LOSS_FILE))
    _wide(built, folder, entries)
    draws = Draws(torch.Generator().manual_seed(seed_of(built.case.seed, built.name, "train noise")))
    magnitudes = {name: Magnitudes() for name in (GRADIENTS, TRAINING)}
    for k in range(1, runs.NOISY_RUNS + runs.WIDE_RUNS + 1):
        # The wide ones to either side.
        scale = 1.0 if k <= runs.NOISY_RUNS else runs.WIDE * (1.0 if k % 2 else -1.0)
        for name, results in _noisy(built, draws, scale, magnitudes):
            _write(folder, name, runs.noisy(k), encoded(results))
    return {
        "digest": built.digest,
        "files": built.files,
        "exporter_set": GRADIENTS,
        "input_leaves": built.input_leaves,
        "output_paths": paths(entries[TRAINING]["outputs"]),
        "sets": entries,
        "framework": built.case.framework,
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
    model = copied(built.model)
    begin = time.perf_counter()
    results = run(built, model, built.clone_inputs(DATA)[0], resume=state)
    seconds = time.perf_counter() - begin
    written: dict[str, Tensor] = {}
    outputs = encode(results, str, written)
    tensors.write(request["outputs"], written)
    return {"seconds": seconds, "outputs": outputs}


def _write_loss(built: Built, file: str) -> None:
    """Trace the loss, for languages that have no Python. Raises WorkerError where it can't be traced."""
    model = copied(built.model)
    with torch.no_grad():
        output = model(*built.clone_inputs(BATCH)[0])
    target = built.inputs[DATA][0][-1][: train_of(built).batch_size]
    try:
        traced = torch.jit.trace(loss_of(built), (output, target), strict=False, check_trace=False)
        torch.jit.save(traced, file)
    except Exception as error:
        raise WorkerError(
            f"case {built.name!r}, field 'train': the loss can't be traced: {type(error).__name__}: {error}",
            "reference",
        ) from error


# ---- The runs --------------------------------------------------------------------------------------------------------


def _eager(built: Built, folder: str) -> dict[str, dict[str, Any]]:
    """Write eager's runs, what they began with, and its checkpoint. Returns what `sets` says of both."""
    data = built.clone_inputs(DATA)[0]
    entries: dict[str, dict[str, Any]] = {}
    first: dict[str, dict[str, Tensor]] = {}
    save = os.path.join(folder, runs.CHECKPOINT_FILE) if resume_at(built) else ""
    with _named(built, "the model can't be trained"):
        for name, results, seconds in _both(built, built.model, data, save):
            first[name] = {}
            outputs = encode(results, str, first[name])
            entries[name] = {"outputs": outputs, "seconds": seconds, "impure": "", "args": [], "kwargs": []}
            entries[name] |= {"leaves": [], "inputs_changed": []}
            _write(folder, name, runs.FIRST, first[name])
    torch.manual_seed(seed(built))
    generator = torch.get_rng_state()
    for name, results, _ in _both(built, built.model, data):
        again = encoded(results)
        _write(
            folder, name, runs.AGAIN, {path: tensor for path, tensor in again.items() if tensor != first[name][path]}
        )
    entries[TRAINING]["draws"] = not torch.equal(generator, torch.get_rng_state())
    _write(folder, TRAINING, runs.START, encoded(state_of(built.model)))
    return entries


def _wide(built: Built, folder: str, entries: dict[str, dict[str, Any]]) -> None:
    """Write the float64 runs; what makes them unfit as a reference goes into the entries."""
    steps: dict[str, Callable[..., Results]] = {GRADIENTS: gradients, TRAINING: run}
    for name, step in steps.items():
        call = partial(_called, step, built)
        results, impure = run_wide(widened(built.model), built.clone_inputs(DATA)[0], {}, call)
        entries[name]["impure"] = impure
        if results is not None:
            _write(folder, name, runs.FLOAT64, encoded(results))


def _both(
    built: Built, model: torch.nn.Module, data: Sequence[torch.Tensor], save: str = ""
) -> Iterator[tuple[str, Results, float]]:
    """Gradients, then a training, each of a copy of `model`."""
    for name in (GRADIENTS, TRAINING):
        trained = copied(model)
        begin = time.perf_counter()
        results = gradients(built, trained, data) if name == GRADIENTS else run(built, trained, data, save)
        yield name, results, time.perf_counter() - begin


def _noisy(
    built: Built, draws: Draws, scale: float, magnitudes: Mapping[str, Magnitudes]
) -> Iterator[tuple[str, Results]]:
    """Both with each operator's result moved, those of the optimizer, too."""
    for name in (GRADIENTS, TRAINING):
        trained, data = copied(built.model), built.clone_inputs(DATA)[0]
        with in_sight(trained), OperatorNoise(draws, scale, magnitudes[name], LONGEST):
            results = gradients(built, trained, data) if name == GRADIENTS else run(built, trained, data)
        yield name, results


def encoded(results: Results) -> dict[str, Tensor]:
    """The tensors of what a training leaves, by path."""
    found: dict[str, Tensor] = {}
    encode(results, str, found)
    return found


def _write(folder: str, name: str, run_name: str, found: dict[str, Tensor]) -> None:
    """A file for each run: a model with its gradients, a dozen times over, is more than memory should hold."""
    file = os.path.join(folder, runs.runs_file(name, run_name))
    tensors.write(file, {runs.key(run_name, path): tensor for path, tensor in found.items()})


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
