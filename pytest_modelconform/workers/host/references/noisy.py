"""Runs that show how far a faithful runtime may be off: eager with every operator's result moved, seeded."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from pytest_modelconform.terms import runs as terms
from pytest_modelconform.terms.case import TORCH
from pytest_modelconform.terms.runs import FEW_ELEMENTS, NOISY_RUNS, WIDE, WIDE_RUNS

from ...arrays import from_array, to_array
from ...loop import WorkerError
from ...tensors import Tensor
from ...torch_tensors import encode
from ..build import Built
from ..frameworks import NoisyModule
from ..noise.call import Draws
from ..noise.mode import Magnitudes, OperatorNoise, in_sight
from ..state import seed_of
from .eager import add_outputs, add_run, run
from .float64 import Jitter, moved

FLOATING = {
    *("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"),
    *("complex64", "complex128"),
}
_FUSED = (torch.nn.MultiheadAttention, torch.nn.TransformerEncoderLayer)
_NOISY = [terms.noisy(k) for k in range(1, NOISY_RUNS + WIDE_RUNS + 1)]
_CLOSE = 1e-4  # of the largest number: two ways to the same, not zeros for numbers
# Adds all noisy runs of an input set to its runs.
AddRuns = Callable[[str, dict[str, Tensor]], None]
# Units in the last place that parameters and inputs of other frameworks are moved by, whose operators aren't seen: two,
# since one leaves the noise of a framework's own order, which is about half of what others may make.
_UNITS = 2


def noise(built: Built) -> AddRuns:
    """The runs that show a model's noise."""
    if isinstance(built.model, NoisyModule):
        return lambda key, runs: _by_nodes(built, key, runs)
    if built.case.framework == TORCH:
        return lambda key, runs: _by_operators(built, key, runs)
    jitter = Jitter(built.model)
    return lambda key, runs: _by_moves(built, key, jitter, runs)


def _by_operators(built: Built, key: str, runs: dict[str, Tensor]) -> None:
    """Eager under OperatorNoise.

    The last runs are wide where something is decided by what rounding moves: as far to the one side as to the other.
    Elsewhere they are further draws, and left out where an output's elements are draws enough.
    """
    with _apart(built, key, runs):
        try:
            _noisy_runs(built, key, runs)
        except WorkerError:
            raise
        except Exception as error:
            # A model that runs by itself, and not where its operators are watched: its operands are moved instead.
            why = f"the model does not run where its operators are watched: {type(error).__name__}: {error}"
            said = f"the noise is that of weights and inputs moved by {_UNITS} units: {why}"
            built.notes.extend([] if said in built.notes else [said])
            for name in [name for name in runs if any(name.startswith(terms.key(run, "")) for run in _NOISY)]:
                del runs[name]
            _by_moves(built, key, Jitter(built.model), runs)


@contextlib.contextmanager
def _apart(built: Built, key: str, runs: Mapping[str, Tensor]) -> Iterator[None]:
    """While this is entered, fused layers are taken apart, if that gives what eager has returned in `runs`."""
    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(fastpath and not _same_without_fastpath(built, key, runs))
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)


def _same_without_fastpath(built: Built, key: str, runs: Mapping[str, Tensor]) -> bool:
    """Whether eager's fused transformer layers may be taken apart: what they are made of gives the same.

    It does not where padding is on the right: then eager packs the batch, and fills up with zeros.
    """
    if not any(isinstance(module, _FUSED) for module in built.model.modules()):
        return False
    torch.backends.mha.set_fastpath_enabled(False)
    found: dict[str, Tensor] = {}
    encode(run(built, key, built.model, *built.clone_inputs(key)), str, found)
    for path, tensor in found.items():
        eager = runs.get(terms.key(terms.FIRST, path))
        if eager is None or (tensor.dtype, tensor.shape) != (eager.dtype, eager.shape):
            return False
        if tensor.dtype in ("float32", "float64"):
            one, two = to_array(tensor), to_array(eager)
            if not np.allclose(one, two, rtol=0.0, atol=_CLOSE * float(np.abs(two).max(initial=0.0)), equal_nan=True):
                return False
    return True


def _noisy_runs(built: Built, key: str, runs: dict[str, Tensor]) -> None:
    draws = Draws(torch.Generator().manual_seed(seed_of(built.case.seed, built.name, "operator noise", key)))
    magnitudes = Magnitudes()

    packed = tied = False
    dtypes: set[torch.dtype] = set()

    def add(k: int, scale: float) -> bool:
        nonlocal packed, tied
        mode = OperatorNoise(draws, scale, magnitudes, turn=k - 1)
        inputs = built.clone_inputs(key)
        with in_sight(built.model), mode:
            returned = run(built, key, built.model, *inputs)
        # Outside: outputs become bytes here, which is no decision of the model's.
        add_outputs(built, key, k, returned, runs)
        packed |= mode.packed
        tied |= mode.tied
        dtypes.update(mode.dtypes)
        return mode.decides

    decided = [add(k, 1.0) for k in range(1, NOISY_RUNS + 1)]
    _note_half(built, dtypes)
    if packed:
        # Inside of packed batches no operator is seen.
        _by_moves(built, key, Jitter(built.model), runs)
        return
    if tied:
        runs.update(_tied(built, key))
    outputs = [tensor for name, tensor in runs.items() if name.startswith(terms.key(terms.FIRST, ""))]
    decides = any(decided) or any(tensor.dtype not in FLOATING for tensor in outputs)
    if not decides and all(math.prod(tensor.shape) >= FEW_ELEMENTS for tensor in outputs):
        return
    state = draws.state
    for k, side in enumerate((1.0, -1.0), NOISY_RUNS + 1):
        if decides:
            draws.state = state
        add(k, side * WIDE if decides else 1.0)
        if decides:
            without_numbers(k, runs)


def _note_half(built: Built, dtypes: set[torch.dtype]) -> None:
    """Say of a float32 model that it computes with fewer bits in places: its noise is that of these."""
    found = [str(dtype).removeprefix("torch.") for dtype in (torch.bfloat16, torch.float16) if dtype in dtypes]
    which = " and ".join(found)
    said = f"computes in {which} in places (torch.autocast, or a cast in forward): its noise is that of {which}"
    if found and built.dtype == "float32" and said not in built.notes:
        built.notes.append(said)


def _tied(built: Built, key: str) -> dict[str, Tensor]:
    """Where the outputs depend on the order of equal elements, and on nothing else: by runs without any noise."""
    draws = Draws(torch.Generator().manual_seed(0))

    def outputs(turn: int | None) -> dict[str, Any]:
        with in_sight(built.model), OperatorNoise(draws, 0.0, turn=turn):
            returned = run(built, key, built.model, *built.clone_inputs(key))
        found: dict[str, Tensor] = {}
        encode(returned, str, found)
        return {path: to_array(tensor) for path, tensor in found.items()}

    usual = outputs(None)
    moved = {path: np.zeros(array.shape, dtype=bool) for path, array in usual.items()}
    for turn in range(terms.TURNS):
        for path, array in outputs(turn).items():
            if path in usual and array.shape == usual[path].shape:
                same = (array == usual[path]) | ((array != array) & (usual[path] != usual[path]))
                moved[path] |= ~same
    return {
        terms.key(terms.TIED, path): from_array(mask.astype(np.uint8)) for path, mask in moved.items() if mask.any()
    }


def _by_nodes(built: Built, key: str, runs: dict[str, Tensor]) -> None:
    """As by operators, of a model of another framework that moves them itself."""
    model: Any = built.model
    for k in range(1, NOISY_RUNS + WIDE_RUNS + 1):
        seed = seed_of(built.case.seed, built.name, "operator noise", key, min(k, NOISY_RUNS + 1))
        scale = 1.0 if k <= NOISY_RUNS else WIDE * (1.0 if k == NOISY_RUNS + 1 else -1.0)
        add_run(built, key, k, partial(model.run_with_noise, seed, scale), built.clone_inputs(key), runs)
        if k > NOISY_RUNS:
            without_numbers(k, runs)


def _by_moves(built: Built, key: str, jitter: Jitter, runs: dict[str, Tensor]) -> None:
    """Eager with parameters, buffers and inputs moved by units in the last place."""
    for k in range(1, NOISY_RUNS + WIDE_RUNS + 1):
        units = _UNITS if k <= NOISY_RUNS else round(_UNITS * WIDE)
        jitter.move(seed_of(built.case.seed, built.name, "jitter", k), units)
        generator = torch.Generator().manual_seed(seed_of(built.case.seed, built.name, "jitter", key, k))
        args, kwargs = built.clone_inputs(key)
        inputs: Any = (moved(args, generator, units), moved(kwargs, generator, units))
        add_run(built, key, k, jitter.model, inputs, runs)
        if k > NOISY_RUNS:
            without_numbers(k, runs)


def further(built: Built, key: str, count: int, seconds: float) -> dict[str, Tensor]:
    """Up to `count` further noisy runs of an input set, as many as `seconds` are likely to be enough for.

    Of the outputs the floating-point ones, by run and path as in the first runs; e1 is the first further run.
    """
    runs: dict[str, Tensor] = {}
    first: dict[str, Tensor] = {}
    encode(run(built, key, built.model, *built.clone_inputs(key)), lambda path: terms.key(terms.FIRST, path), first)
    longest, end = 0.0, time.monotonic() + seconds
    with _further_run(built, key, first) as one:
        for k in range(1, count + 1):
            begin = time.monotonic()
            if begin + longest > end:
                break
            found: dict[str, Tensor] = {}
            encode(one(k), str, found)
            longest = max(longest, time.monotonic() - begin)
            runs.update((terms.key(terms.noisy(k), path), t) for path, t in found.items() if t.dtype in FLOATING)
    return runs


@contextlib.contextmanager
def _further_run(built: Built, key: str, first: Mapping[str, Tensor]) -> Iterator[Callable[[int], Any]]:
    """What makes the k-th further run, drawn apart from the first ones."""

    def seed(*purpose: Any) -> int:
        return seed_of(built.case.seed, built.name, "further noise", key, *purpose)

    if isinstance(built.model, NoisyModule):
        model: Any = built.model
        yield lambda k: run(built, key, partial(model.run_with_noise, seed(k), 1.0), *built.clone_inputs(key))
        return
    if built.case.framework != TORCH:
        jitter = Jitter(built.model)

        def with_moves(k: int) -> Any:
            jitter.move(seed(k), _UNITS)
            generator = torch.Generator().manual_seed(seed("inputs", k))
            args, kwargs = (moved(given, generator, _UNITS) for given in built.clone_inputs(key))
            return run(built, key, jitter.model, args, kwargs)

        yield with_moves
        return
    draws, magnitudes = Draws(torch.Generator().manual_seed(seed())), Magnitudes()

    def with_noise(k: int) -> Any:
        inputs = built.clone_inputs(key)
        with in_sight(built.model), OperatorNoise(draws, 1.0, magnitudes, turn=k):
            return run(built, key, built.model, *inputs)

    with _apart(built, key, first):
        yield with_noise


def without_numbers(k: int, runs: dict[str, Tensor]) -> None:
    """Keep of a wide run only what isn't compared by its noise: integers, and what came out in another size."""
    run_name = terms.key(terms.noisy(k), "")
    for name, tensor in list(runs.items()):
        if name.startswith(run_name) and tensor.dtype in FLOATING:
            eager = runs[terms.key(terms.FIRST, name.removeprefix(run_name))]
            if tensor.shape == eager.shape:
                del runs[name]
