"""One training in eager PyTorch, as every language makes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ...loop import WorkerError
from ..build import Built
from ..state import seed_of
from . import checkpoint
from .data import batches, train_of

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
# What a training leaves, by kind, then by name.
Results = dict[str, Any]


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


def run(
    built: Built,
    model: torch.nn.Module,
    data: Sequence[torch.Tensor],
    save: str = "",
    resume: checkpoint.State | None = None,
) -> Results:
    """Train `model`, which is changed. save: the file for the checkpoint. Returns losses, parameters and buffers."""
    train, function = train_of(built), loss_of(built)
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
            loss = function(model(*inputs), target)
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
        loss = loss_of(built)(model(*inputs), target)
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


def loss_of(built: Built) -> Callable[[Any, torch.Tensor], torch.Tensor]:
    """The function of output and target that is made small."""
    loss = train_of(built).loss
    return getattr(torch.nn.functional, loss) if isinstance(loss, str) else loss


def _check_loss(built: Built, loss: Any) -> None:
    where = f"case {built.name!r}, field 'train'"
    if not isinstance(loss, torch.Tensor) or loss.dim():
        what = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
        raise WorkerError(f"{where}: the loss is {what}; it must be a tensor without dimensions: .mean()?", "reference")
    if not loss.requires_grad:
        raise WorkerError(f"{where}: the loss depends on no parameter that requires a gradient", "reference")
