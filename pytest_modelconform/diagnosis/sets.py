"""What shows only between outputs and between input sets: another order, and constants that were baked in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..compare import Reference
from .judge import LUCK, Judge, Seen
from .sentences import listed, outputs


def other_order(seen: Seen) -> str | None:
    """Outputs that are the model's, each at another's place or under another name."""
    names = [path for path in seen.outputs if path in seen.wrong or path not in seen.references]
    missing = [path for path in seen.references if path in seen.wrong or path not in seen.outputs]
    if not names or not missing:
        return None
    found: dict[str, str] = {}
    for path in names:
        right = [other for other in missing if other != path and other not in found.values()]
        match = next((other for other in right if _is(seen, path, other)), None)
        if match is None:
            return None
        found[path] = match
    if len(found) == 2 and all(found.get(other) == path for path, other in found.items()):
        first, second = found
        return f"output{first} is the model's output{second} and the reverse"
    if (moved := _moved(found)) is not None:
        if moved[1]:
            return f"output{moved[0]} is the model's output{moved[1]}"
        return f"output{moved[0]} is all that the model returns: it comes wrapped in something"
    return listed([f"output{path} is the model's output{other}" for path, other in found.items()])


def _moved(found: Mapping[str, str]) -> tuple[str, str] | None:
    """Where all outputs under one path are the model's under another: these two paths."""
    path, other = next(iter(found.items()))
    while path and other and path[-1] == other[-1]:
        path, other = path[:-1], other[:-1]
    # A whole step of a path, never a part of a key.
    rest = next(iter(found))[len(path) :]
    if rest and not rest.startswith("["):
        return None
    if all(
        one.startswith(path) and two.startswith(other) and one[len(path) :] == two[len(other) :]
        for one, two in found.items()
    ):
        return path, other
    return None


def _is(seen: Seen, path: str, other: str) -> bool:
    reference = seen.references[other]
    if reference.kind == "empty":
        return False
    judge = Judge(seen.outputs[path], reference, seen.tolerance)
    return judge.informative and judge.luck(judge.model.size) >= LUCK and judge.passes(judge.raw)


def baked(seen: Seen, sets: Sequence[Seen], exporter: str) -> str | None:
    """The outputs are another input set's, or the same for all."""
    if not seen.wrong:
        return None
    for other in sorted(sets, key=lambda s: s.name != exporter):
        if other is not seen and all(_repeats(seen, path, other) for path in seen.wrong):
            exported = ", the one that was exported" if other.name == exporter else ""
            return (
                f"{outputs(list(seen.wrong))} is what the model gives for input set {other.name!r}{exported}: a "
                "constant was baked in"
            )
    for other in sets:
        if other is not seen and other.wrong and all(_same(seen, path, other) for path in seen.wrong):
            return (
                f"{outputs(list(seen.wrong))} is the same for input sets {seen.name!r} and {other.name!r}, where the "
                "model's differ: a constant was baked in"
            )
    first = next((other for other in sets if other.name == exporter), None)
    if first is None or first is seen:
        return None
    lengths = {_exported_lengths(seen, path, first) for path in seen.wrong}
    if len(lengths) > 1 or not (found := lengths.pop()):
        return None
    return f"{outputs(list(seen.wrong))} has {found}, as for the exported input set {exporter!r}: a length was baked in"


def _repeats(seen: Seen, path: str, other: Seen) -> bool:
    """Whether an output is the model's for another input set, for which it gives something else."""
    reference = other.references.get(path)
    if reference is None or reference.kind == "empty" or not _differ(seen.references[path], reference):
        return False
    judge = Judge(seen.outputs[path], reference, seen.tolerance)
    return judge.informative and judge.passes(judge.raw)


def _same(seen: Seen, path: str, other: Seen) -> bool:
    """Whether an output has the same bits in both sets, and isn't constant itself."""
    one, two = seen.outputs[path], other.outputs.get(path)
    if two is None or path not in other.wrong or not _differ(seen.references[path], other.references[path]):
        return False
    varies = one.size > 1 and bool((one != one.reshape(-1)[0]).any())
    return varies and one.dtype == two.dtype and np.array_equal(one, two, equal_nan=one.dtype.kind in "fc")


def _differ(one: Reference, two: Reference) -> bool:
    return one.shape != two.shape or not np.array_equal(one.eager, two.eager)


def _exported_lengths(seen: Seen, path: str, first: Seen) -> str:
    """In which axes an output is as long as the exporters' and not as long as it should be; empty where another is."""
    reference = first.references.get(path)
    y, r = seen.outputs[path].shape, seen.references[path].shape
    if reference is None or y == r or not len(y) == len(r) == len(reference.shape):
        return ""
    wrong = [axis for axis in range(len(y)) if y[axis] != r[axis]]
    # As long there, too: else it follows the inputs, though not as the model does.
    there = first.outputs.get(path)
    if there is not None and there.shape != reference.shape:
        return ""
    if any(y[axis] != reference.shape[axis] for axis in wrong):
        return ""
    return listed([f"length {y[axis]} along axis {axis}" for axis in wrong])
