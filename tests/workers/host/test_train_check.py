"""What is wrong with a case's field `train` is said with the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelconform import Train
from pytest_modelconform.workers.host.train_check import fault

GOOD: dict[str, Any] = {"loss": "mse_loss", "optimizer": "sgd", "lr": 0.1, "steps": 4}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"loss": lambda output, target: output},
        {"momentum": 0.9, "weight_decay": 0},
        {"optimizer": "adamw", "weight_decay": 0.1, "resume_at": 3},
        {"steps": 1, "batch_size": 7, "data": lambda: None},
    ],
)
def test_nothing_is_wrong(more: dict[str, Any]) -> None:
    assert fault(Train(**{**GOOD, **more})) == ""


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"loss": "cross_entropi"}, "unknown loss='cross_entropi'. Did you mean 'cross_entropy'? Known: mse_loss, "),
        ({"loss": 3}, "unknown loss=3. Known: "),
        ({"optimizer": "adamax"}, "unknown optimizer='adamax'. Did you mean 'adam'? Known: sgd, adam, adamw"),
        ({"lr": 0}, "lr=0 must be a finite number above 0"),
        ({"lr": float("nan")}, "lr=nan must be"),
        ({"lr": "0.1"}, "lr='0.1' must be"),
        ({"momentum": 1}, "momentum=1 must be a number from 0 to below 1"),
        ({"optimizer": "adam", "momentum": 0.9}, 'momentum is for optimizer="sgd" only, adam has betas of its own'),
        ({"weight_decay": -1}, "weight_decay=-1 must be a finite number, 0 or more (or be left out)"),
        ({"steps": 0}, "steps=0 must be an integer of 1 or more"),
        ({"steps": 2.0}, "steps=2.0 must be an integer"),
        ({"batch_size": True}, "batch_size=True must be an integer"),
        ({"resume_at": 4}, "resume_at=4 must be an integer from 1 to 3, before the last step"),
        ({"resume_at": 0}, "resume_at=0 must be"),
        (
            {"steps": 1, "resume_at": 1},
            "resume_at=1: a training of one step has no checkpoint in between: leave it out",
        ),
        (
            {"data": 3},
            "give a function for data, so that every use gets fresh tensors: `data=lambda: (inputs, ",
        ),
    ],
)
def test_what_is_wrong(more: dict[str, Any], message: str) -> None:
    assert fault(Train(**{**GOOD, **more})).startswith(message)


def test_what_is_no_train() -> None:
    assert fault({"lr": 0.1}).startswith('give a Train(…), like Train(loss="mse_loss", optimizer="sgd", lr=0.1')
