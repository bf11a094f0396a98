"""What a case can't see: tensors of the model whose change stays under the noise of its outputs.

A wrong export of such a tensor would pass. All tensors are judged at once by their gradients: for a change c of a
tensor t, v·J(c) with random v has J(c)'s root mean square, and v·J is one backward pass for all tensors (the estimator
of Hutchinson, 1989). Those that come out near the noise are then changed for real, and compared as a runtime would be.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from pytest_modelconform.compare import Reference, compare_tensor, make_reference
from pytest_modelconform.terms import runs as terms
from pytest_modelconform.terms.generic_weights import filled
from pytest_modelconform.terms.tolerances import limits

from ...arrays import to_array
from ...tensors import Tensor
from ...torch_tensors import from_torch, leaves
from .. import large
from ..build import Built
from ..dense import is_dense
from ..state import seed_of
from .float64 import Widened, run_wide

CHANGE = 0.01  # of each element, up or down at random: a common factor is lost in any norm that follows
NOT_LOOKED_FOR: dict[str, Any] = {"tensors": 0, "unseen": [], "skipped": ""}
# By the number of draws how many times over the limit an estimate needs no check: one in 10^6 is so far off (its square
# is chi-squared with as many degrees of freedom). Only what is nearer is drawn for once more.
_MARGINS = (4.9, 3.8, 3.2, 3.0)
_UNKNOWN = 1e-9
# What several changes at once may come to, in times of the limit, by their estimates.
_TOGETHER = 0.5
# So many that are nearer than that may be left to trials.
_FEW = 4
_MOST_CHECKED = 32
_SECONDS = 10.0


@dataclass(frozen=True)
class _Output:
    """A floating output of an input set: its reference, and eager's noise as one number."""

    reference: Reference
    noise: float


def find(
    built: Built, runs: Mapping[str, Mapping[str, Tensor]], call: Callable[..., Any], wide: Widened
) -> dict[str, Any]:
    """Return how many tensors there are, the names of the `unseen`, and why they weren't looked for ("" if they were).

    runs: by input set, as `reference.make` has them. call: `eager.run`. wide: of the case's model; its copy is changed.
    """
    if built.dtype in ("float16", "bfloat16"):
        return NOT_LOOKED_FOR  # 1 % is not much there, and what the case sees it sees in float32
    total = len(list(_state(built.model)))
    if not total:
        return {"tensors": 0, "unseen": [], "skipped": "", "constant": []}
    references = _references(built, runs[built.exporter_set])
    if not any(isinstance(output, _Output) for output in references.values()):
        return {
            "tensors": total,
            "unseen": [],
            "skipped": "no output of the exporters' input set has a float64 reference",
        }
    search = _Search(built, references, call, wide, built.exporter_set)
    estimates, near = search.estimates()
    # These have no gradient: no output depends on them, as on a head whose detections are all sorted out, or what lies
    # between has none (integers, quantisation, batch norms in TorchScript, which aren't rewritten).
    silent = [name for name, estimate in estimates.items() if estimate == 0]
    tried = sorted(near, key=estimates.__getitem__)
    found: list[str] = []
    # In one run, where there is memory for as many changed ones: for each by itself there is no time.
    if silent and (search.is_large or search.sees(silent)):
        tried += silent
    else:
        found += silent
    left = _try(search, tried, estimates, found)
    skipped = f"only {len(tried) - left} of {len(tried)} that may be among them could be tried" if left else ""
    if others := {type(value).__name__ for value in built.model.parameters() if not is_dense(value)}:
        skipped = skipped or f"weights of a class of their own ({', '.join(sorted(others))}) aren't changed"
    # Another set may take another branch. A generated one is not the case's to rely on.
    for key in built.inputs:
        if found and key in runs and key != built.exporter_set and key not in built.generated:
            found = _unseen_too(found, _Search(built, _references(built, runs[key]), call, wide, key))
    return {"tensors": total, "unseen": sorted(found), "skipped": skipped, "constant": _constant(built, found)}


def _unseen_too(names: Sequence[str], search: _Search) -> list[str]:
    """Those of the tensors that a further input set doesn't show, either. What there is no time for is not shown."""
    if not search.references:
        return list(names)
    found: list[str] = []
    left = _try(search, names, dict.fromkeys(names, 0.0), found)
    return [*found, *names[len(names) - left :]]


def _try(search: _Search, tried: Sequence[str], estimates: Mapping[str, float], found: list[str]) -> int:
    """Change tensors for real, and add to `found` those that aren't seen. Returns how many were not got to.

    Twice as many at once as the last time, as long as nothing is seen: if several changes together aren't, none is by
    itself, since random changes don't cancel out. What is seen of several is tried one by one.
    """
    deadline = time.monotonic() + _SECONDS
    left, together = list(tried), 1
    for _ in range(_MOST_CHECKED):
        if not left or time.monotonic() > deadline:
            break
        group = left[: _how_many(left[:together], estimates, search.limit)]
        seen = search.sees(group)
        if not seen or len(group) == 1:
            left = left[len(group) :]
            found += [] if seen else group
        together = 1 if seen else 2 * len(group)
    return len(left)


def _how_many(names: Sequence[str], estimates: Mapping[str, float], limit: float) -> int:
    """How many tensors, from the first on, may be changed at once, so that these changes together still go unseen."""
    total = 0.0
    for count, name in enumerate(names):
        total += limit**2 if estimates[name] == _UNKNOWN else estimates[name] ** 2
        if count and total > (_TOGETHER * limit) ** 2:
            return count
    return len(names)


def _constant(built: Built, names: list[str]) -> list[str]:
    """Which of these tensors hold one value only, as biases of 0 and scales of 1 do before any training.

    Only those that generic_weights fills: it is what helps.
    """
    fills = filled(built.model)
    state = {name: value for name, value in _state(built.model) if name in fills}
    return sorted(name for name in names if name in state and bool((state[name] == state[name].reshape(-1)[0]).all()))


def _state(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters and buffers of floating point by name, each once; none that is sparse, or of a class of its own."""
    seen: set[int] = set()
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        floating = value.is_floating_point() or value.is_complex()
        if id(value) not in seen and value.numel() and floating and is_dense(value):
            seen.add(id(value))
            yield name, value


def _references(built: Built, own: Mapping[str, Tensor]) -> dict[str, _Output | Reference]:
    """By path of the output, of an input set's runs; those without a float64 reference are left out."""
    found: dict[str, _Output | Reference] = {}
    for key, eager in own.items():
        kind, _, path = key.partition(":")
        if kind != terms.FIRST:
            continue
        wide = own.get(terms.key(terms.FLOAT64, path))
        moved = (terms.key(terms.noisy(k), path) for k in range(1, terms.NOISY_RUNS + terms.WIDE_RUNS + 1))
        noisy = [to_array(own[name]) for name in moved if name in own]
        reference = make_reference(None if wide is None else to_array(wide), to_array(eager), noisy, eager.dtype)
        if reference.kind == "exact":
            found[path] = reference
        elif reference.kind == "float" and reference.noise is not None and reference.signal is not None:
            found[path] = _Output(reference, float(reference.noise[0]))
    return found


class _Search:
    """The model in float64, an input set, and what the outputs are compared with."""

    def __init__(
        self,
        built: Built,
        references: Mapping[str, _Output | Reference],
        call: Callable[..., Any],
        wide: Widened,
        key: str,
    ) -> None:
        self.built = built
        self.key = key
        self.call = partial(call, built, key)
        declared = built.case.tolerances.get(built.dtype, built.case.tolerance)
        bits_lost, worst = limits(declared, built.dtype)
        self.tolerance = replace(declared, bits_lost=bits_lost, worst=worst)
        self.limit = 2.0 ** (bits_lost or 0.0)
        self.references = references
        self.is_large = large.is_large(built.model)
        self.model = wide.copy()
        self.state = dict(_state(self.model))
        self._changes: dict[str, torch.Tensor] = {}

    def change(self, name: str) -> torch.Tensor:
        """What a tensor is changed by; the same signs for estimate and check."""
        if name in self._changes:
            return self._changes[name]
        value = self.state[name].detach()
        change = CHANGE * _signs(self.built, name, value) * value
        if not self.is_large:
            self._changes[name] = change
        return change

    def run(self, grad: bool = False) -> dict[str, torch.Tensor]:
        """Run the model in float64; outputs by path."""
        outputs, problem = run_wide(self.model, *self.built.clone_inputs(self.key), partial(self.call, grad=grad))
        if outputs is None:
            raise RuntimeError(problem)
        return dict(leaves(outputs))

    def run_narrow(self, model: torch.nn.Module) -> dict[str, torch.Tensor]:
        """Run a model as it is, for gradients; outputs by path."""
        return dict(leaves(self.call(model, *self.built.clone_inputs(self.key), grad=True)))

    def estimates(self) -> tuple[dict[str, float], list[str]]:
        """Estimate, by tensor, how many times the noise its change moves the outputs; 0 where there is no gradient.

        The second is which of them have to be tried: those that aren't far above the limit, or of which nothing can be
        said. Of a large model in its own dtype: the gradients of all tensors in float64, with the weights that they are
        computed from, are four times the model.
        """
        model = large.sharing(self.built.model) if self.is_large else self.model
        state = dict(_state(model))
        totals = dict.fromkeys(state, 0.0)
        estimates: dict[str, float] = {}
        requiring = {name: value.requires_grad for name, value in state.items()}

        def take(name: str, gradient: torch.Tensor) -> None:
            moved = float((gradient.conj() * self.change(name)).real.sum())
            totals[name] += moved * moved

        try:
            for value in state.values():
                value.requires_grad_(True)
            with _BatchNormOfStatistics():
                found = self.run_narrow(model) if self.is_large else self.run(grad=True)
            outputs = [
                (found[path], output.noise)
                for path, output in self.references.items()
                if isinstance(output, _Output) and path in found and found[path].requires_grad
            ]
            undecided = state
            for draw, margin in enumerate(_MARGINS):
                generator = torch.Generator().manual_seed(seed_of(self.built.name, "projection", draw))
                # NaN and infinities (masks) have no gradient that means anything.
                projection = sum(
                    (torch.where(torch.isfinite(y), y, 0.0) * _normal(y, generator)).real.sum()
                    / noise
                    / y.numel() ** 0.5
                    for y, noise in outputs
                )
                if not isinstance(projection, torch.Tensor):
                    return dict.fromkeys(state, _UNKNOWN), list(state)
                again = draw + 1 < len(_MARGINS)
                if self.is_large:
                    _each_gradient(projection, undecided, again, take)
                else:
                    _all_gradients(projection, undecided, again, take)
                estimates.update((name, (totals[name] / (draw + 1)) ** 0.5) for name in undecided)
                undecided = {
                    name: value for name, value in undecided.items() if 0 < estimates[name] < margin * self.limit
                }
                # One that is changed by itself costs as much as a draw.
                if sum(estimates[name] > _TOGETHER * self.limit for name in undecided) <= _FEW:
                    break
        except RuntimeError:
            return dict.fromkeys(state, _UNKNOWN), list(state)  # an operator without a derivative: each is tried
        finally:
            for name, value in state.items():
                value.requires_grad_(requiring[name])
        unknown = {name: _UNKNOWN for name, estimate in estimates.items() if estimate != estimate}
        return estimates | unknown, [*undecided, *unknown]

    def sees(self, names: Sequence[str]) -> bool:
        """Change tensors for real: whether a runtime that returned that would be told."""
        unchanged = {name: self.state[name].data for name in names}
        for name, data in unchanged.items():
            self.state[name].data = data + self.change(name)
        try:
            found = self.run()
        except Exception:
            return True  # such a change ends in an exception
        finally:
            for name, data in unchanged.items():
                self.state[name].data = data
        for path, output in self.references.items():
            reference = output.reference if isinstance(output, _Output) else output
            returned = found.get(path)
            if returned is None:
                return True
            if isinstance(output, _Output):
                returned = returned.to(getattr(torch, reference.dtype))
            array = to_array(from_torch(returned))
            if not compare_tensor(array, reference, self.tolerance, where=path, dtype=reference.dtype).ok:
                return True
        return False


def _all_gradients(
    projection: torch.Tensor, state: Mapping[str, torch.Tensor], again: bool, take: Callable[[str, torch.Tensor], None]
) -> None:
    """Go back through a graph, and hand over all gradients; where there is none, nothing."""
    gradients = torch.autograd.grad(projection, list(state.values()), retain_graph=again, allow_unused=True)
    for name, gradient in zip(state, gradients, strict=True):
        if gradient is not None:
            take(name, gradient)


def _each_gradient(
    projection: torch.Tensor, state: Mapping[str, torch.Tensor], again: bool, take: Callable[[str, torch.Tensor], None]
) -> None:
    """Go back through a graph, and hand over each tensor's gradient, which is forgotten then."""

    def found(name: str, value: torch.Tensor) -> None:
        assert value.grad is not None
        take(name, value.grad)
        value.grad = None

    hooks = [value.register_post_accumulate_grad_hook(partial(found, name)) for name, value in state.items()]
    try:
        projection.backward(retain_graph=again, inputs=list(state.values()))
    finally:
        for hook in hooks:
            hook.remove()


class _BatchNormOfStatistics(TorchFunctionMode):
    """Writes batch norms in eval mode as arithmetic: the operator has no derivative by its running statistics."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called for each function of torch."""
        if func is torch.nn.functional.batch_norm:
            return _batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _batch_norm(
    x: torch.Tensor,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> torch.Tensor:
    """`torch.nn.functional.batch_norm`; x: (N, C, …)."""
    if training or running_mean is None or running_var is None:
        return torch.nn.functional.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
    shape = (1, -1) + (1,) * (x.dim() - 2)
    y = (x - running_mean.view(shape)) * torch.rsqrt(running_var + eps).view(shape)
    y = y if weight is None else y * weight.view(shape)
    return y if bias is None else y + bias.view(shape)


def _signs(built: Built, name: str, value: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed_of(built.name, "change", name))
    return torch.randint(0, 2, value.shape, generator=generator, dtype=torch.int8).to(value.dtype) * 2 - 1


def _normal(value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(value.shape, generator=generator, dtype=value.dtype)
