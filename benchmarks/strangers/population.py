"""The population: which strangers there are, and what their case files call."""

from __future__ import annotations

import fnmatch
import functools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_modelconform import generic_weights

from .families import timm_models, trained, transformers_models, vision
from .families.stranger import Stranger

DEFAULT, GENERIC, TRAINED = "default", "generic", "trained"

CASE = '''\
"""{name} with {weights} weights."""

from benchmarks.strangers import population
from pytest_modelconform import Case

case = Case(
    model=lambda: population.model("{name}", "{weights}", {path!r}),
    inputs={{
        "one": lambda: population.inputs("{name}", {path!r}),
        "other": lambda: population.inputs("{name}", {path!r}),
    }},
    {fixed}
)
'''
FIXED = 'fixed_inputs="these are runs by the hundred",'


@dataclass(frozen=True)
class Subject:
    """A stranger with certain weights. path: a folder that its package is in, or ""."""

    stranger: Stranger
    weights: str
    path: str = ""

    @property
    def name(self) -> str:
        """As results have it: `torchvision.resnet18.generic`."""
        return f"{self.stranger.name}.{self.weights}"

    @property
    def case(self) -> str:
        """The name of its case, and of its file without suffix."""
        return self.name.replace(".", "__").replace("-", "_")

    def write(self, folder: Path, generated: bool) -> Path:
        """Its case file. generated: whether the plugin makes further input sets from the case's."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{self.case}.py"
        text = CASE.format(
            name=self.stranger.name, weights=self.weights, path=self.path, fixed="" if generated else FIXED
        )
        file.write_text("\n".join(line for line in text.splitlines() if line.strip() or not line) + "\n")
        return file


@functools.cache
def strangers(path: str = "") -> dict[str, Stranger]:
    """All of them by name. path: a folder with further packages, see families/trained.py."""
    if path and path not in sys.path:
        sys.path.append(path)
    families = (vision, timm_models, transformers_models, trained)
    return {one.name: one for family in families for one in family.strangers()}


def subjects(pattern: str = "*", path: str = "", large: bool = False) -> tuple[list[Subject], dict[str, str]]:
    """Those whose name fits, and why others that fit are left out. The weights vary before the model does."""
    found, left_out = [], {}
    for one in strangers(path).values():
        for weights in (TRAINED,) if one.trained else (DEFAULT, GENERIC):
            subject = Subject(one, weights, path)
            if not fnmatch.fnmatch(subject.name, pattern):
                continue
            if one.missing:
                left_out[subject.name] = one.missing
            elif one.large and not large:
                left_out[subject.name] = "above 150 million parameters: --large"
            else:
                found.append(subject)
    return found, left_out


def model(name: str, weights: str, path: str = "") -> nn.Module:
    """A stranger with its own initial values, with generic ones, or trained. The case has seeded torch."""
    torch.manual_seed(0)
    made = strangers(path)[name].make()
    return generic_weights(made) if weights == GENERIC else made


def inputs(name: str, path: str = "") -> Any:
    """Inputs as a case returns them, drawn from the generator as it is."""
    found = strangers(path)[name].inputs()
    return (found,) if isinstance(found, torch.Tensor) else found
