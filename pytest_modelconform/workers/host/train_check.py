"""What is wrong with a case's field `train`, and the remedy."""

from __future__ import annotations

import difflib
import math
from typing import Any

from pytest_modelconform.terms.case import LOSSES, OPTIMIZERS, Train


def fault(train: Any) -> str:
    """A sentence; "" if nothing is wrong."""
    if not isinstance(train, Train):
        return 'give a Train(…), like Train(loss="mse_loss", optimizer="sgd", lr=0.1, steps=8)'
    return next(filter(None, (_loss(train), _optimizer(train), _counts(train), _data(train))), "")


def _loss(train: Train) -> str:
    if callable(train.loss) or train.loss in LOSSES:
        return ""
    return f"unknown loss={train.loss!r}.{_near(train.loss, LOSSES)} Known: {', '.join(LOSSES)}; or give a function"


def _optimizer(train: Train) -> str:
    if train.optimizer not in OPTIMIZERS:
        near = _near(train.optimizer, OPTIMIZERS)
        return f"unknown optimizer={train.optimizer!r}.{near} Known: {', '.join(OPTIMIZERS)}"
    if not _number(train.lr) or train.lr <= 0:
        return f"lr={train.lr!r} must be a finite number above 0"
    if not _number(train.momentum) or not 0 <= train.momentum < 1:
        return f"momentum={train.momentum!r} must be a number from 0 to below 1"
    if train.momentum and train.optimizer != "sgd":
        return f'momentum is for optimizer="sgd" only, {train.optimizer} has betas of its own: leave it out'
    if train.weight_decay is not None and (not _number(train.weight_decay) or train.weight_decay < 0):
        return f"weight_decay={train.weight_decay!r} must be a finite number, 0 or more (or be left out)"
    return ""


def _counts(train: Train) -> str:
    for name in ("steps", "batch_size"):
        value = getattr(train, name)
        if not _integer(value) or value < 1:
            return f"{name}={value!r} must be an integer of 1 or more"
    if train.resume_at is None:
        return ""
    if train.steps == 1:
        return f"resume_at={train.resume_at!r}: a training of one step has no checkpoint in between: leave it out"
    if not _integer(train.resume_at) or not 1 <= train.resume_at < train.steps:
        return f"resume_at={train.resume_at!r} must be an integer from 1 to {train.steps - 1}, before the last step"
    return ""


def _data(train: Any) -> str:
    if train.data is None or callable(train.data):
        return ""
    return "give a function for data, so that every use gets fresh tensors: `data=lambda: (inputs, target)`"


def _near(name: Any, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(str(name), known, 1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
