"""Hypotheses on what a runtime may have done: functions that run a case on an input set with something changed.

Each takes a `Subject` and yields pairs: a word for what was changed ("" where there is but one), and a function without
arguments that returns the outputs. That raises `Unchanged` where there is nothing to change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map

from ...torch_tensors import order_of
from ..build import Built
from ..clones import copied
from ..module import exported_programs
from ..state import seed_all
from .rewrites import (
    Rewrite,
    Round,
    Unchanged,
    argument,
    change_epsilons,
    factors,
    round_weights,
    tensors_of,
    with_tensors,
)

_MOST_INPUTS = 8


@dataclass(frozen=True)
class Subject:
    """A case and the input set that its variants are run on."""

    built: Built
    key: str

    def run(
        self,
        model: torch.nn.Module | None = None,
        inputs: tuple[Any, Any] | None = None,
        within: AbstractContextManager[Any] | None = None,
        purpose: str = "run",
    ) -> Any:
        """Call the case's model, or another, as for the reference. Raises Unchanged if `within` changed nothing."""
        args, kwargs = self.built.clone_inputs(self.key) if inputs is None else inputs
        seed_all(self.built.case.seed, self.built.name, self.key, purpose)
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            if within is not None:
                # Attention by matrix products, so that a Rewrite sees them.
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
                stack.enter_context(_without_fastpath())
                stack.enter_context(within)
            returned = (self.built.model if model is None else model)(*args, **kwargs)
        if isinstance(within, Rewrite) and not within.changed:
            raise Unchanged
        return returned

    def model(self) -> torch.nn.Module:
        """A copy of the model, to be changed."""
        return copied(self.built.model)


Runs = Iterator[tuple[str, Callable[[], Any]]]


def weights(rounded: Round) -> Callable[[Subject], Runs]:
    """All parameters and buffers rounded."""
    return lambda subject: iter([("", lambda: subject.run(round_weights(subject.model(), rounded)))])


def arithmetic(rounded: Round) -> Callable[[Subject], Runs]:
    """The factors of every matrix product and convolution rounded."""
    return lambda subject: iter([("", lambda: subject.run(within=factors(rounded)))])


def autocast(subject: Subject) -> Runs:
    """Under autocast to bfloat16."""
    yield "", lambda: subject.run(within=torch.autocast("cpu", dtype=torch.bfloat16))


def model_in(dtype: torch.dtype) -> Callable[[Subject], Runs]:
    """The whole model, and its inputs, in a narrower dtype."""

    def narrow(value: Any) -> Any:
        return value.to(dtype) if isinstance(value, torch.Tensor) and value.is_floating_point() else value

    def run(subject: Subject) -> Any:
        args, kwargs = subject.built.clone_inputs(subject.key)
        return subject.run(subject.model().to(dtype), (tree_map(narrow, args), tree_map(narrow, kwargs)))

    return lambda subject: iter([("", lambda: run(subject))])


def batch_norms_in_training(subject: Subject) -> Runs:
    """Batch norms with the batch's statistics, all else as in eval mode."""

    def run() -> Any:
        model = subject.model()
        norms = [module for module in model.modules() if isinstance(module, torch.nn.modules.batchnorm._NormBase)]
        if not any(module.track_running_stats and not module.training for module in norms):
            raise Unchanged
        for module in norms:
            module.train()
        return subject.run(model)

    yield "", run


def training(subject: Subject) -> Runs:
    """The model in train mode, with two draws of random numbers."""
    for purpose in ("one draw", "another draw"):
        yield "", partial(_train, subject, purpose)


def _train(subject: Subject, purpose: str) -> Any:
    model = subject.model()
    if subject.built.case.mode == "train" or exported_programs(model):
        raise Unchanged
    return subject.run(model.train(), purpose=purpose)


def rewritten(name: str, new: Callable[[Any], Any], operators: str = "") -> Callable[[Subject], Runs]:
    """Every operator with an argument of a name given another value for it."""
    return lambda subject: iter([("", lambda: subject.run(within=argument(name, new, operators)))])


def epsilon(new: Callable[[float], float]) -> Callable[[Subject], Runs]:
    """Every norm with another epsilon, whether a module holds it or a function is called with it."""

    def run(subject: Subject) -> Any:
        model = subject.model()
        taken = change_epsilons(model, new)
        # What comes from a module has its new value already.
        mode = argument("eps", lambda given: new(given) if given and given not in taken else given)
        mode.changed = len(taken)
        return subject.run(model, within=mode)

    return lambda subject: iter([("", lambda: run(subject))])


def read_as_contiguous(subject: Subject) -> Runs:
    """Each transposed input's memory taken for a row-major tensor's."""
    args, kwargs = subject.built.clone_inputs(subject.key)
    for path, value in list(tensors_of(args, kwargs).items())[:_MOST_INPUTS]:
        order = order_of(value)
        if order is None:
            continue
        wrong = value.permute(order).reshape(value.shape)
        yield _named(subject, path), partial(_with, subject, {path: wrong})


def ignored(subject: Subject) -> Runs:
    """Each input as the exporters saw it."""
    if subject.key == subject.built.exporter_set:
        return
    exported = tensors_of(*subject.built.clone_inputs())
    for path, value in list(tensors_of(*subject.built.clone_inputs(subject.key)).items())[:_MOST_INPUTS]:
        old = exported.get(path)
        if old is not None and old.shape == value.shape and old.dtype == value.dtype and not torch.equal(old, value):
            yield _named(subject, path), partial(_with, subject, {path: old})


def filled(fill: Callable[[torch.Tensor], torch.Tensor], masks: bool) -> Callable[[Subject], Runs]:
    """Each mask (what holds 0 and 1 only), or each other input, as `fill` makes it."""

    def runs(subject: Subject) -> Runs:
        for path, value in list(tensors_of(*subject.built.clone_inputs(subject.key)).items())[:_MOST_INPUTS]:
            is_mask = bool(((value == 0) | (value == 1)).all())
            new = fill(value) if is_mask == masks and value.numel() else value
            if not torch.equal(new, value):
                yield _named(subject, path), partial(_with, subject, {path: new})

    return runs


def swapped(subject: Subject) -> Runs:
    """Every two inputs of one shape and dtype exchanged."""
    found = list(tensors_of(*subject.built.clone_inputs(subject.key)).items())[: _MOST_INPUTS // 2]
    for (one, first), (two, second) in combinations(found, 2):
        if first.shape == second.shape and first.dtype == second.dtype and not torch.equal(first, second):
            names = f"{_named(subject, one)} and {_named(subject, two)}"
            yield names, partial(_with, subject, {one: second, two: first})


def _named(subject: Subject, path: str) -> str:
    return subject.built.argument_name(path)


def _with(subject: Subject, new: dict[str, torch.Tensor]) -> Any:
    return subject.run(inputs=with_tensors(*subject.built.clone_inputs(subject.key), new))


def flag(name: str, operators: str = "") -> Callable[[Subject], Runs]:
    """Every operator with a flag of a name run with its opposite."""
    return rewritten(name, lambda given: not given if isinstance(given, bool) else given, operators)


class _without_fastpath:  # noqa: N801 (a context manager, which reads like a function)
    """Multi-head attention and transformer layers operator by operator."""

    def __enter__(self) -> None:
        self.before = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)

    def __exit__(self, *_: object) -> None:
        torch.backends.mha.set_fastpath_enabled(self.before)
