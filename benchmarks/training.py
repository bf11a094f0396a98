"""How far verdicts on trainings can be trusted: what eager's noise grows to, faults that have to be seen, clean reruns.

Faults are made in eager trainings (a learning rate off by 1 %, a momentum left out, gradients that are not zeroed, …)
and judged by the functions that decide in production. Clean are trainings that begin one unit in the last place apart,
with seeds that the reference doesn't have, and those with other kernels of PyTorch: fused and foreach optimizers,
no oneDNN, another number of threads.

    python -m benchmarks.training growth
    python -m benchmarks.training faults
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import torch

from pytest_modelconform.cells import training as judge
from pytest_modelconform.cells.answers import SetResult
from pytest_modelconform.references import training as training_references
from pytest_modelconform.references.content import TrainingAnswer
from pytest_modelconform.references.prepared import Prepared
from pytest_modelconform.terms.case import Tolerance, Train
from pytest_modelconform.terms.outcome import Verdict
from pytest_modelconform.workers import arrays, tensors
from pytest_modelconform.workers.host.build import Built, build
from pytest_modelconform.workers.host.references.float64 import Jitter, moved
from pytest_modelconform.workers.host.train import data as train_data
from pytest_modelconform.workers.host.train import loop as train_loop
from pytest_modelconform.workers.host.train import training
from pytest_modelconform.workers.tensors import Tensor
from pytest_modelconform.workers.torch_tensors import encode

from . import training_cases

CASES = Path(__file__).with_name("training_cases.py")
TRAINED = (training_cases.SGD, training_cases.ADAM, training_cases.ADAMW)
MODELS = ("mlp", "conv", "lstm", "block")
FIRST_SEED = 1 << 40  # none of seed_of's words give these


@dataclass(frozen=True)
class Change:
    """What one training does otherwise than the case says. lr: times the case's. options: of the optimizer."""

    name: str
    lr: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    optimizer: str = ""
    fewer: int = 0
    loss: Callable[[torch.Tensor], torch.Tensor] | None = None
    drop_last: bool = False
    keep_gradients: bool = False
    evaluate: bool = False
    keep_buffer: str = ""
    only: tuple[str, ...] = ("sgd", "adam", "adamw")
    models: tuple[str, ...] = MODELS


ADAMS = ("adam", "adamw")
FAULTS = (
    Change("learning rate x 1.01", lr=1.01),
    Change("learning rate x 0.99", lr=0.99),
    Change("no momentum", without=("momentum",), only=("sgd",)),
    Change("dampening 0.01", options={"dampening": 0.01}, only=("sgd",)),
    Change("nesterov", options={"nesterov": True}, only=("sgd",)),
    Change("weight decay 1e-2 too many", options={"weight_decay": 1e-2}, only=("sgd", "adam")),
    Change("adam for adamw", optimizer="adam", only=("adamw",)),
    Change("weight decay coupled", optimizer="adam", options={"weight_decay": 1e-2}, only=("adamw",)),
    Change("beta1 0.89", options={"betas": (0.89, 0.999)}, only=ADAMS),
    Change("beta2 0.99", options={"betas": (0.9, 0.99)}, only=ADAMS),
    Change("eps x 100", options={"eps": 1e-6}, only=ADAMS),
    Change("amsgrad", options={"amsgrad": True}, only=ADAMS),
    Change("one step fewer", fewer=1),
    Change("loss: sum for mean", loss=lambda errors: errors.sum()),
    Change("last batch dropped", drop_last=True),
    Change("gradients not zeroed", keep_gradients=True),
    Change("train() forgotten", evaluate=True, models=("conv",)),
    Change("a running mean not updated", keep_buffer="running_mean", models=("conv",)),
    Change("a running variance not updated", keep_buffer="running_var", models=("conv",)),
    Change("batches not counted", keep_buffer="num_batches_tracked", models=("conv",)),
)


def prepared(name: str, folder: Path, train: Train | None = None) -> tuple[Built, Prepared]:
    """A case of training_cases.py, trained as the case says or as `train` does, and its references."""
    built = build(str(CASES), CASES.name, name)
    case = built.case if train is None else replace(built.case, train=train)
    built = train_data.for_training(replace(built, case=case), str(CASES))
    answer = msgspec.convert(training.make(built, str(folder)), TrainingAnswer)
    return built, Prepared(training_references.make(folder, answer), name, folder, cached=False)


def trained(built: Built, model: torch.nn.Module, data: Sequence[torch.Tensor], change: Change) -> dict[str, Any]:
    """As training.run, but for the change."""
    train = train_data.train_of(built)
    options = {k: v for k, v in train_loop.options(built).items() if k not in change.without}
    options = {**options, "lr": options["lr"] * change.lr, **change.options}
    optimizer = train_loop.OPTIMIZERS[change.optimizer or train.optimizer](model.parameters(), **options)
    model.train(not change.evaluate)
    *inputs, target = data
    if change.drop_last:
        whole = len(target) // train.batch_size * train.batch_size
        inputs, target = [value[:whole] for value in inputs], target[:whole]
    batches = train_data.batches(inputs, target, train.batch_size)
    torch.manual_seed(train_loop.seed(built))
    losses = []
    kept = {k: v.clone() for k, v in model.named_buffers() if change.keep_buffer and k.endswith(change.keep_buffer)}
    for step in range(train.steps):
        *batch, wanted = next(batches)
        if not change.keep_gradients:
            optimizer.zero_grad()
        output = model(*batch)
        loss = torch.nn.functional.mse_loss(output, wanted)
        if change.loss is not None:
            loss = change.loss((output - wanted) ** 2)
        torch.autograd.backward(loss)
        if step < train.steps - change.fewer:
            optimizer.step()
        losses.append(loss.detach())
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name in kept:
                buffer.copy_(kept[name])
    return {"loss": torch.stack(losses), **train_loop.state_of(model)}


def judged(built: Built, found: Prepared, results: dict[str, Any], folder: Path) -> SetResult:
    """What the results of a training come to, as in a cell."""
    written: dict[str, Tensor] = {}
    tree = encode(results, str, written)
    file = folder / "trained.safetensors"
    tensors.write(str(file), written)
    steps = train_data.train_of(built).steps
    return judge.compare(tree, arrays.read(file), found.sets["training"], Tolerance(), steps)


def clean(built: Built, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Trainings that have to pass, by name."""
    data = built.clone_inputs(train_data.DATA)[0]
    jitter = Jitter(built.model)
    for k in range(count):
        generator = jitter.move(FIRST_SEED + k)
        yield f"one unit apart, {k}", trained(built, copy.deepcopy(jitter.model), moved(data, generator), Change(""))
    for name in ("foreach", "fused"):
        change = Change(name, options={name: True})
        yield name, trained(built, copy.deepcopy(built.model), data, change)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    yield "another thread", trained(built, copy.deepcopy(built.model), data, Change(""))
    torch.set_num_threads(threads)
    with torch.backends.mkldnn.flags(enabled=False):
        yield "no oneDNN", trained(built, copy.deepcopy(built.model), data, Change(""))


def faults(count: int, models: Sequence[str]) -> int:
    """Print what becomes of faults and of clean trainings; returns how many are judged wrongly."""
    wrong = 0
    for name in models:
        for train in TRAINED:
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                built, found = prepared(name, folder, train)
                data = built.clone_inputs(train_data.DATA)[0]
                for what, results in clean(built, count):
                    result = judged(built, found, results, folder)
                    ok = result.verdict is Verdict.PASS
                    wrong += not ok
                    print(f"{name:6} {train.optimizer:6} clean  {'' if ok else 'WRONG ':6}{what}: {_numbers(result)}")
                for change in FAULTS:
                    if train.optimizer not in change.only or name not in change.models:
                        continue
                    result = judged(built, found, trained(built, copy.deepcopy(built.model), data, change), folder)
                    ok = result.verdict is not Verdict.PASS
                    wrong += not ok
                    said = f"fault  {'' if ok else 'MISSED':6}{change.name}: {_numbers(result)}"
                    print(f"{name:6} {train.optimizer:6} {said}", flush=True)
    return wrong


def _numbers(result: SetResult) -> str:
    losses = [entry["loss"] for entry in (result.outputs or {}).values() if entry["loss"] is not None]
    worst = [entry["worst"] for entry in (result.outputs or {}).values() if entry["worst"] is not None]
    return f"loss {max(losses, default=math.inf):.1f}, worst {max(worst, default=math.inf):.1f}"


def growth(models: Sequence[str]) -> None:
    """Print the noise of loss and parameters by steps, for each model and optimizer, as bits that eager keeps."""
    print("| model | optimizer | steps | bits of the last loss | bits of what parameters learn: least, median |")
    print("| --- | --- | --- | --- | --- |")
    for name in models:
        for train in TRAINED:
            for steps in (1, 4, 16, 64):
                with tempfile.TemporaryDirectory() as temporary:
                    built, found = prepared(name, Path(temporary), replace(train, steps=steps))
                    loss, learnt = _kept(found, built)
                    shown = f"{min(learnt):.1f}, {statistics.median(learnt):.1f}"
                    print(f"| {name} | {train.optimizer} | {steps} | {loss:.1f} | {shown} |", flush=True)


def _kept(found: Prepared, built: Built) -> tuple[float, list[float]]:
    """log2 of the last loss over its noise, and of what each parameter has learnt over its noise."""
    references = found.sets["training"].references
    loss = references["['loss']"]
    assert loss.r is not None
    assert loss.floor is not None
    last = float(torch.tensor(abs(loss.r[-1]) / loss.floor[-1]).log2())
    learnt = []
    for key, value in built.model.named_parameters():
        reference = references[f"['parameters'][{key!r}]"]
        part = training_references.Part(f"/parameters/{key}", "", value.detach().numpy())
        learnt.append(float(torch.tensor(max(training_references.learnt(part, reference), 2.0**-30)).log2()))
    return last, learnt


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("growth", "faults"))
    parser.add_argument("--clean", type=int, default=20, help="trainings one unit apart, for each model and optimizer")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # small models: more of them wait for each other
    if arguments.what == "growth":
        growth(arguments.models)
    elif count := faults(arguments.clean, arguments.models):
        raise SystemExit(f"{count} judged wrongly")
