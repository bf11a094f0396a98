"""From the case host's trainings to the references that trainings elsewhere are compared with. docs/verdicts.md."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from msgspec.structs import replace

from ..compare import Reference, flatten, make_reference
from ..compare.noise import LEAST_BITS, STRAY
from ..compare.numbers import FLOAT_FORMATS
from ..terms import runs as terms
from ..terms.cell import GRADIENTS, TRAINING
from ..workers import arrays
from ..workers.arrays import Array
from . import from_runs
from .content import SetEntry, Training
from .model_check import ModelFault, noisy

Kind = TypeVar("Kind", bound=Training)
_FEWEST = 64
_MOST_UNDECIDED = 0.05  # share of a tensor
_MOST_NAMED = 6
# A case sees a change of 1 % in what a tensor learns where that is over 2^bits_lost = 2.8 times the noise.
SEEN = 300.0


@dataclass(frozen=True)
class Part:
    """One tensor of what a training leaves.

    key: the case host's, "/parameters/layer.weight". path: as `flatten` writes it. start: before the first step; zero
    for gradients, None for losses.
    """

    key: str
    path: str
    start: Array | None

    def named(self, steps: int) -> str:
        """As messages name it."""
        return named(self.key, steps)


def named(key: str, steps: int) -> str:
    """What a key of the case host stands for: "parameter layer.weight after 8 steps"."""
    kind, _, name = key.removeprefix("/").partition("/")
    if kind == "gradients":
        return f"gradient of {name}"
    if kind in ("parameters", "buffers"):
        return f"{kind[:-1]} {name} after {steps} step{'s' if steps > 1 else ''}"
    return "loss"


def make(folder: Path, content: Kind) -> Kind:
    """Turn the runs that the case host left in `folder` into references, as from_runs.make does for outputs.

    Returns the content with further `notes`. Raises ModelFault for a case whose training can't be compared with.
    """
    steps = content.train.steps
    notes: list[str] = []
    moved: dict[str, float] = {}
    for name, entry in content.sets.items():
        runs: dict[str, Array] = {}
        for file in folder.glob(terms.runs_file(name, "*")):
            runs |= arrays.read(file)
            file.unlink()  # it is mapped into memory
        _check_repeats(entry, runs, steps)
        if entry.impure:
            notes.append(f"{name}: {entry.impure}: compared with eager in its own dtype")
        found: dict[str, Reference] = {}
        for part in _parts(name, entry, runs):
            found[part.path] = _reference(part, entry, runs)
            notes += _notes(part, found[part.path], steps)
            if part.key.startswith("/parameters/"):
                moved[part.key.removeprefix("/parameters/")] = learnt(part, found[part.path])
        if name == TRAINING:
            _check_losses(found["['loss']"])
        from_runs.write(folder, name, found)
    notes += _check_learning(moved)
    if content.sets[TRAINING].draws:
        notes.append(
            "draws random numbers: trainings agree only where a runtime draws the same ones from the same seed"
        )
    return replace(content, notes=[*content.notes, *notes])


def _parts(name: str, entry: SetEntry, runs: Mapping[str, Array]) -> Iterator[Part]:
    for path, key in flatten(entry.outputs)[1].items():
        start = runs.get(terms.key(terms.START, key))
        if name == GRADIENTS and key.startswith("/gradients/"):
            start = np.zeros_like(runs[terms.key(terms.FIRST, key)])
        yield Part(key, path, start)


def _reference(part: Part, entry: SetEntry, runs: Mapping[str, Array]) -> Reference:
    eager = runs[terms.key(terms.FIRST, part.key)]
    others = noisy(runs, part.key)
    wide = None if entry.impure else runs.get(terms.key(terms.FLOAT64, part.key))
    unstable = None
    if eager.dtype.name in FLOAT_FORMATS:
        # Without a float64 training eager's own is the middle that the others are measured from: what is compared is
        # still how far trainings one unit apart come to differ.
        wide = eager.astype("float64") if wide is None else wide
        unstable = undecided(wide, [eager, *others], part.start)
        others = others[: terms.NOISY_RUNS]
    return make_reference(wide, eager, others, eager.dtype.name, unstable=unstable)


def undecided(r: Array, runs: list[Array], start: Array | None) -> Array:
    """Which elements rounding decides, flat: those that differ from run to run as if by another law than the rest.

    An optimizer that divides by the size of a gradient (Adam) makes a whole step of one that is zero but for rounding,
    up or down; and a unit at the kink of a ReLU gives one sample's share of a gradient or doesn't. Such elements have
    STRAY times the median noise, and over 1 / STRAY of what the tensor has learnt (root mean square of r - start).
    None of them where they are too many: the noise of the tensor then says what it says.
    """
    none = np.zeros(r.size, dtype=bool)
    if start is None or r.size < _FEWEST:
        return none
    noise = np.zeros(r.size)
    for k, run in enumerate(runs):
        scale = 1.0 if k <= terms.NOISY_RUNS else terms.WIDE
        np.maximum(noise, np.abs(run.astype("float64") - r).reshape(-1) / scale, out=noise)
    positive = noise[noise > 0.0]
    if positive.size < _FEWEST or not np.isfinite(noise).all():
        return none
    learnt = float(np.sqrt(np.mean((r - start.astype("float64")) ** 2)))
    found: Array = noise > max(STRAY * float(np.median(positive)), learnt / STRAY)
    return found if found.sum() <= _MOST_UNDECIDED * found.size else none


def _check_repeats(entry: SetEntry, runs: Mapping[str, Array], steps: int) -> None:
    """See to it that training twice gives the same twice. Raises ModelFault."""
    for key in flatten(entry.outputs)[1].values():
        again, first = runs.get(terms.key(terms.AGAIN, key)), runs[terms.key(terms.FIRST, key)]
        if again is None:
            continue
        alone = make_reference(None, first, [], first.dtype.name)
        close = again.shape == first.shape and np.allclose(
            again, first, rtol=alone.format.lenient if alone.kind == "tolerance" else 0, atol=0, equal_nan=True
        )
        if not close:
            raise ModelFault(
                f"a second training with the same seed ends with another {named(key, steps)}, so that nothing can be "
                "compared with it: let the model draw from torch's generator only, and keep no state outside of buffers"
            )


def _check_losses(reference: Reference) -> None:
    bad = np.flatnonzero(~np.isfinite(reference.eager))
    if bad.size:
        value = float(reference.eager[bad[0]])
        raise ModelFault(
            f"the loss is {value} in step {int(bad[0]) + 1}, from which nothing can be learnt: try a smaller lr, other "
            "targets, or fewer steps"
        )


def learnt(part: Part, reference: Reference) -> float:
    """How much a parameter has learnt, in units of its noise; 0 if nothing."""
    if reference.r is None or reference.noise is None or part.start is None:
        return 0.0
    change = reference.r - part.start.reshape(-1).astype("float64")
    if reference.codes is not None:
        change = change[reference.codes == 0]
    size = float(np.sqrt(np.mean(change * change))) if change.size else 0.0
    return size / float(reference.noise[0])


def _check_learning(moved: Mapping[str, float]) -> list[str]:
    """See to it that a training changes something, and by more than rounding. Raises ModelFault. Returns notes."""
    if not any(learnt >= 1.0 for learnt in moved.values()):
        raise ModelFault("training changes no parameter: are gradients switched off (requires_grad, detach, no_grad)?")
    best = max(moved.values())
    if best < SEEN:
        raise ModelFault(
            f"trainings that differ in their rounding only end apart by 1/{best:.0f} of what they learn, so that an "
            f"error of 1 % would not show in any parameter (1/{SEEN:.0f} is needed): try fewer steps, a smaller lr, or "
            "another optimizer"
        )
    blind = [name for name, learnt in moved.items() if learnt < SEEN]
    if not blind:
        return []
    more = f" and {len(blind) - _MOST_NAMED} more" if len(blind) > _MOST_NAMED else ""
    return [
        f"can't see an error of 1 % in what {len(blind)} of {len(moved)} parameters learn "
        f"({', '.join(blind[:_MOST_NAMED])}{more}): rounding alone changes it by more. Fewer steps, a smaller lr or "
        "another optimizer may show it"
    ]


def _notes(part: Part, reference: Reference, steps: int) -> Iterator[str]:
    if reference.unstable:
        yield (
            f"{part.named(steps)}: {reference.unstable} of {reference.eager.size} elements depend on rounding and are "
            "not compared"
        )
    if by_rounding(reference):
        yield f"{part.named(steps)} is decided by rounding: only its size is compared"


def eager_numbers(reference: Reference) -> dict[str, Any]:
    """How eager itself compares; without bits for what rounding decides."""
    nothing = {"bits": None, "reference_bits": None} if by_rounding(reference) else {}
    return {**from_runs.eager_numbers(reference), **nothing}


def by_rounding(reference: Reference) -> bool:
    """Whether a tensor is noise as far as eager's own dtype can tell, as the gradient of a bias before a batch norm."""
    bits = reference.reference_bits
    return bits is not None and math.isfinite(bits) and bits < LEAST_BITS
