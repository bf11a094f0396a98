"""Case files whose models are trained, and what the case host makes of them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pytest_modelconform.references import training as references
from pytest_modelconform.references.content import TrainingAnswer
from pytest_modelconform.references.prepared import Prepared
from pytest_modelconform.workers.host.build import Built, build
from pytest_modelconform.workers.host.train import data as train_data
from pytest_modelconform.workers.host.train import training
from tests.support import runs

# `{model}` builds the module from `x`, whose four samples are (3,); `{train}` are fields of Train.
HEAD = """\
import torch
from torch import nn

from pytest_modelconform import Case, Train, generic_weights


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.idle = nn.Parameter(torch.ones(2))
        self.calls = 0

    def forward(self, x):
        return self.linear(x)


case = Case(
    model=lambda: generic_weights({model}),
    inputs={{"four": lambda: (torch.rand(4, 3),)}},
    train=Train(**{{"loss": "mse_loss", "optimizer": "sgd", "lr": 0.1, "steps": 4, {train}}}),
    {more}
)
"""
MLP = "nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))"
NORM = "nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))"


def built(folder: Path, model: str = MLP, train: str = "", more: str = "", head: str = HEAD) -> Built:
    """A case as it is trained."""
    path = runs.case_file(folder, "trained", head.format(model=model, train=train, more=more))
    return train_data.for_training(build(str(path), path.name, path.stem), str(path))


def prepared(case: Built, folder: Path) -> Prepared:
    """The case's references, in `folder`."""
    answer = msgspec.convert(training.make(case, str(folder)), TrainingAnswer)
    return Prepared(references.make(folder, answer), "d", folder, cached=False)
