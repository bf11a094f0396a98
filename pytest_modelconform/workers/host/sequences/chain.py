"""The answer to `reference` for a sequence: eager's chain, the one in float64 and the noisy ones, as runs of each step.

Each chain is fed with its own outputs, so that the noise of a step is that of all steps before it, too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch

from pytest_modelconform.terms import runs as terms
from pytest_modelconform.terms.runs import NOISY_RUNS, WIDE, WIDE_RUNS

from ... import tensors
from ...arrays import from_array
from ...loop import WorkerError, places_of
from ...tensors import Tensor
from ...torch_tensors import encode, leaves
from .. import declared, files, large
from ..build import Built, encode_inputs
from ..clones import clone
from ..forward import signature
from ..generate import Call
from ..noise.call import Draws
from ..noise.mode import Magnitudes, OperatorNoise, in_sight
from ..references.blind_spots import NOT_LOOKED_FOR
from ..references.eager import run
from ..references.float64 import Jitter, moved, run_wide, widened
from ..references.noisy import FLOATING, without_numbers
from ..references.runs import paths
from ..state import seed_of
from .calls import calls, sequence_of
from .carry import Wire, fed, wires
from .lost import unseen

# Units in the last place that weights and inputs are moved by where operators can't be watched.
_UNITS = 2
# Of the noisy chains, those whose draws are the same in each step: so are the rounding errors of an engine whose steps
# are alike, which add up. The others draw anew, and theirs partly cancel.
_ALIKE_FROM = NOISY_RUNS
# What a chain calls: the key of a step and its call; returns the model's result.
StepCall = Callable[[str, Call], Any]
Runs = dict[str, dict[str, Tensor]]


def make(built: Built, folder: str, path: str) -> dict[str, Any]:
    """Write `inputs-step-N.safetensors` and `runs-step-N.safetensors` for each step; return what is in them.

    Keys of the runs are as in references/runs.py. The inputs of a step are eager's: what another engine is fed with, it
    has returned itself. path: the case file's, for messages.
    """
    with files.recorded(path, built.name) as opened:
        given = calls(built, path)
    keys = [terms.step(n) for n in range(1, len(given) + 1)]
    runs: Runs = {key: {} for key in keys}
    fed_back, sets, last = _eager(built, keys, given, runs, folder)
    _in_float64(built, keys, given, fed_back, runs, sets)
    notes = _noisy(built, keys, given, fed_back, runs)
    lost = unseen(built, fed_back, last, runs[keys[-1]], partial(run, built, keys[-1], built.model))
    for key in keys:
        tensors.write(os.path.join(folder, terms.runs_file(key)), runs[key])
    exported: dict[str, Tensor] = {}
    encode_inputs(*built.inputs[built.exporter_set], exported)
    return {
        "digest": built.digest,
        # As they are now: what `inputs` reads, it reads when it is asked for a step.
        "files": built.files | files.hashed(opened),
        "exporter_set": keys[0],
        "input_leaves": built.input_leaves,
        "output_paths": paths(sets[keys[0]]["outputs"]),
        "sets": sets,
        "generated": {},
        "left_out": {},
        "framework": built.case.framework,
        "dropout": [],
        "blind_ok": bool(built.case.blind_ok),
        "accept": sorted(built.case.accept),
        "tolerance": asdict(built.case.tolerance),
        "tolerances": {key: asdict(tolerance) for key, tolerance in built.case.tolerances.items()},
        "notes": [*built.notes, *notes],
        "parameters": sum(p.numel() for p in built.model.parameters()),
        "unseen": NOT_LOOKED_FOR,
        "wires": [list(wire) for wire in fed_back],
        "exported": _leaves(built, exported),
        "lost": lost,
    }


def _chain(keys: Sequence[str], given: Sequence[Call], fed_back: Sequence[Wire], call: StepCall) -> Iterator[Any]:
    """Call step after step, each with what the one before returned; yields what each returns."""
    state: dict[str, torch.Tensor] = {}
    for key, one in zip(keys, given, strict=True):
        returned = call(key, fed(clone(one), clone(state)))
        yield returned
        made = dict(leaves(returned))
        state = {wire.taken: made[wire.returned] for wire in fed_back}


def _eager(
    built: Built, keys: Sequence[str], given: Sequence[Call], runs: Runs, folder: str
) -> tuple[list[Wire], dict[str, dict[str, Any]], Call]:
    """Write the inputs of each step, and add eager's run. Returns what is fed back, `sets`, and the last call."""
    sets: dict[str, dict[str, Any]] = {}
    fed_back: list[Wire] = []
    state: dict[str, torch.Tensor] = {}
    call: Call = ((), {})
    for key, one in zip(keys, given, strict=True):
        call = fed(clone(one), clone(state))
        declared.check(built.name, signature(built.model), built.case.dynamic_shapes, {key: call})
        returned, sets[key] = _one_step(built, key, call, runs[key], folder)
        if not fed_back:
            fed_back = wires(built, sequence_of(built).carry, call, returned)
        made = dict(leaves(returned))
        if lacking := next((wire.returned for wire in fed_back if wire.returned not in made), ""):
            raise WorkerError(
                f"case {built.name!r}, field 'sequence': {key} returns no {lacking.removeprefix('/')!r}, which is to "
                "be fed to the next step: return it in every step",
                "build",
            )
        state = {wire.taken: made[wire.returned] for wire in fed_back}
    return fed_back, sets, call


def _one_step(built: Built, key: str, call: Call, runs: dict[str, Tensor], folder: str) -> tuple[Any, dict[str, Any]]:
    written: dict[str, Tensor] = {}
    args, kwargs = encode_inputs(*call, written)
    tensors.write(os.path.join(folder, terms.inputs_file(key)), written)
    own = clone(call)
    begin = time.perf_counter()
    try:
        returned = run(built, key, built.model, *own)
    except Exception as error:
        said = ", ".join(f"{built.argument_name(p)} {t.dtype} {tuple(t.shape)}" for p, t in written.items())
        places = places_of(error)
        at = f"\n{places}" if places else ""
        raise WorkerError(
            f"case {built.name!r}, field 'sequence': the model itself fails in {key}: {type(error).__name__}: {error}"
            f"{at}\n  called with {said}",
            "reference",
        ) from error
    seconds = time.perf_counter() - begin
    eager: dict[str, Tensor] = {}
    outputs = encode(returned, str, eager)
    runs.update((terms.key(terms.FIRST, path), tensor) for path, tensor in eager.items())
    after: dict[str, Tensor] = {}
    encode_inputs(own[0], own[1], after)
    return returned, {
        "args": args,
        "kwargs": kwargs,
        "outputs": outputs,
        "impure": "",
        "inputs_changed": [path for path, tensor in written.items() if after.get(path) != tensor],
        # Told by the check of single calls, which comes first.
        "state_changed": [],
        "views": [],
        "repeats": True,
        "seconds": seconds,
        "leaves": _leaves(built, written),
    }


def _leaves(built: Built, written: dict[str, Tensor]) -> list[dict[str, Any]]:
    return [
        {"path": path, "shape": list(tensor.shape), "name": built.argument_name(path)}
        for path, tensor in written.items()
    ]


def _in_float64(
    built: Built,
    keys: Sequence[str],
    given: Sequence[Call],
    fed_back: Sequence[Wire],
    runs: Runs,
    sets: dict[str, dict[str, Any]],
) -> None:
    """Add the chain in float64. From the first step on that isn't pure, none has such a reference."""
    wide = large.widened(built.model) if large.is_large(built.model) else widened(built.model)
    why = ""

    def call(key: str, one: Call) -> Any:
        nonlocal why
        returned, impure = run_wide(wide, *one, partial(run, built, key))
        why = why or impure
        return returned

    chain = _chain(keys, given, fed_back, call)
    for key in keys:
        if why:
            sets[key]["impure"] = why
            continue
        try:
            returned = next(chain)
        except (KeyError, StopIteration):
            returned, why = None, why or "the model returns other tensors in float64"
        sets[key]["impure"] = why
        if returned is not None:
            found: dict[str, Tensor] = {}
            encode(returned, str, found)
            runs[key].update((terms.key(terms.FLOAT64, path), tensor) for path, tensor in found.items())


def _noisy(built: Built, keys: Sequence[str], given: Sequence[Call], fed_back: Sequence[Wire], runs: Runs) -> list[str]:
    """Add the noisy chains. Returns notes."""
    try:
        if _by_operators(built, keys, given, fed_back, runs):
            return []
        why = "it has nested tensors, in which no operator is seen"
    except WorkerError:
        raise
    except Exception as error:
        why = f"it does not run where its operators are watched: {type(error).__name__}: {error}"
    for found in runs.values():
        for name in [name for name in found if any(name.startswith(terms.key(one, "")) for one in _NAMES)]:
            del found[name]
    _by_moves(built, keys, given, fed_back, runs)
    return [f"the noise of the steps is that of weights and inputs moved by {_UNITS} units: {why}"]


_NAMES = [terms.noisy(k) for k in range(1, NOISY_RUNS + WIDE_RUNS + 1)]


def _by_operators(
    built: Built, keys: Sequence[str], given: Sequence[Call], fed_back: Sequence[Wire], runs: Runs
) -> bool:
    """Chains under OperatorNoise; False where there is something in which it sees no operator."""
    draws = Draws(torch.Generator().manual_seed(seed_of(built.case.seed, built.name, "operator noise", "steps")))
    magnitudes = {key: Magnitudes() for key in keys}
    decides = packed = tied = False

    def chain(k: int, scale: float, alike: bool) -> None:
        start = draws.state

        def call(key: str, one: Call) -> Any:
            nonlocal decides, packed, tied
            if alike:
                draws.state = start
            mode = OperatorNoise(draws, scale, magnitudes[key], turn=k - 1)
            with in_sight(built.model), mode:
                returned = run(built, key, built.model, *one)
            decides, packed, tied = decides or mode.decides, packed or mode.packed, tied or mode.tied
            return returned

        _add(built, k, keys, _chain(keys, given, fed_back, call), runs)

    for k in range(1, NOISY_RUNS + 1):
        chain(k, 1.0, k >= _ALIKE_FROM)
    if packed:
        return False
    decides = decides or any(
        tensor.dtype not in FLOATING
        for found in runs.values()
        for name, tensor in found.items()
        if name.startswith(terms.key(terms.FIRST, ""))
    )
    # Where rounding decides something, as far to the one side as to the other; else further draws: of a state that all
    # later steps depend on, three say little.
    state = draws.state
    for k, side in enumerate((1.0, -1.0), NOISY_RUNS + 1):
        if decides:
            draws.state = state
        chain(k, side * WIDE if decides else 1.0, alike=True)
        if decides:
            for found in runs.values():
                without_numbers(k, found)
    if tied:
        for found in runs.values():
            found.update(_any_order(found))
    return True


def _any_order(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """That a step's integers may be indices of equal elements, of which its runs don't show all."""
    first = terms.key(terms.FIRST, "")
    integers = {
        name.removeprefix(first): tensor
        for name, tensor in found.items()
        if name.startswith(first) and tensor.dtype not in FLOATING
    }
    return {
        terms.key(terms.TIED, path): from_array(np.ones(tensor.shape, dtype=np.uint8))
        for path, tensor in integers.items()
    }


def _by_moves(built: Built, keys: Sequence[str], given: Sequence[Call], fed_back: Sequence[Wire], runs: Runs) -> None:
    """Chains with parameters, buffers and what is fed moved by units in the last place."""
    jitter = Jitter(built.model)
    for k in range(1, NOISY_RUNS + WIDE_RUNS + 1):
        units = _UNITS if k <= NOISY_RUNS else round(_UNITS * WIDE)
        jitter.move(seed_of(built.case.seed, built.name, "jitter", k), units)
        generator = torch.Generator().manual_seed(seed_of(built.case.seed, built.name, "jitter", "steps", k))

        def call(key: str, one: Call, units: int = units, generator: torch.Generator = generator) -> Any:
            return run(built, key, jitter.model, *(moved(part, generator, units) for part in one))

        _add(built, k, keys, _chain(keys, given, fed_back, call), runs)
        if k > NOISY_RUNS:
            for found in runs.values():
                without_numbers(k, found)


def _add(built: Built, k: int, keys: Sequence[str], chain: Iterator[Any], runs: Runs) -> None:
    """Add the k-th noisy chain to the runs of its steps. Raises WorkerError where it returns other tensors."""
    first = terms.key(terms.FIRST, "")
    for key in keys:
        found: dict[str, Tensor] = {}
        encode(next(chain), str, found)
        eager = {name.removeprefix(first): t for name, t in runs[key].items() if name.startswith(first)}
        if {path: t.dtype for path, t in found.items()} != {path: t.dtype for path, t in eager.items()}:
            raise WorkerError(
                f"case {built.name!r}, field 'sequence': the outputs of {key} depend on rounding: with the result of "
                "every operator moved by its rounding error the model returns other tensors; choose other inputs, or "
                "fewer steps",
                "reference",
            )
        runs[key].update((terms.key(terms.noisy(k), path), tensor) for path, tensor in found.items())
