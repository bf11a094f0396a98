"""Further input sets, made from a case's own: other values and sizes, sizes at their bounds, transposed tensors, zeros.

An export can be right for the inputs that it was made with and wrong for others: a value or a size that was baked in,
strides that were taken for granted. What a case's own sets don't vary is varied here.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from pytest_modelconform.terms.runs import LEAST, MOST, SHAPE, TRANSPOSED, VALUES, ZEROS

Call = tuple[tuple[Any, ...], dict[str, Any]]

# A set that is larger than that (elements of all inputs together) would cost more than it tells.
LARGEST = 1 << 22
# What is taken away from a Dim at most.
_TAKEN = 4096


@dataclass(frozen=True)
class Generated:
    """A generated input set.

    why: what it is for, as messages say it. may_refuse: whether an artifact that refuses it with an error keeps within
    what the case promises; one that runs it has to be right all the same.
    """

    inputs: Call
    why: str
    may_refuse: bool = False


@dataclass(frozen=True)
class Dimension:
    """A dynamic dimension as dynamic_shapes declares it.

    root: the name of what may be chosen; several dimensions may follow from one, as `2 * Dim("half")` does. length:
    from the root's value to the dimension's. least, most: bounds of the root's value, None where the case gives none.
    """

    root: str
    length: Callable[[int], int]
    least: int | None = None
    most: int | None = None

    def root_of(self, length: int) -> int | None:
        """Return the root's value for a length, None where there is none."""
        # What a Dim is derived by grows with it: a factor, and something added or taken away.
        values = range(length + _TAKEN)
        found = bisect.bisect_left(values, length, key=self.length)
        return found if found < len(values) and self.length(found) == length else None


def dimension(entry: Any, name: str) -> Dimension:
    """Read a `Dim`, a derived one, or a string."""
    root = getattr(entry, "root", entry)
    least, most = getattr(root, "min", None), getattr(root, "max", None)
    return Dimension(
        root=str(getattr(root, "__name__", name)),
        length=getattr(entry, "fn", None) or (lambda value: value),
        # Without bounds a Dim says 0 and a symbol for infinity.
        least=least if isinstance(least, int) and least > 0 else None,
        most=most if isinstance(most, int) else None,
    )


def dimensions(spec: Any) -> dict[str, Dimension]:
    """The dynamic dimensions by name, of dynamic_shapes."""
    found: dict[str, Dimension] = {}

    def walk(value: Any, key: Any = None) -> None:
        if isinstance(value, dict):
            for k, v in value.items():
                walk(v, k)
        elif isinstance(value, (list, tuple)):
            for i, v in enumerate(value):
                walk(v, i)
        elif is_dynamic(value):
            name = name_of(value, key)
            found.setdefault(name, dimension(value, name))

    walk(spec)
    return found


def is_dynamic(entry: Any) -> bool:
    """Whether an entry of dynamic_shapes lets a dimension vary: None, a length and Dim.STATIC don't."""
    return entry is not None and not isinstance(entry, int) and entry is not torch.export.Dim.STATIC


def name_of(entry: Any, axis: int) -> str:
    """The name of a dynamic dimension; Dim.AUTO and Dim.DYNAMIC have none of their own."""
    return entry if isinstance(entry, str) else getattr(entry, "__name__", None) or f"dim_{axis}"


def generate(
    inputs: Mapping[str, Call],
    exporter_set: str,
    leaves: Mapping[str, list[dict[str, Any]]],
    dimensions: Mapping[str, Dimension],
    draw: Callable[[str], Call],
) -> dict[str, Generated]:
    """Make the sets that a case's own leave to be wished for, by name. The model is not run.

    inputs: the case's own sets. leaves: of each set the tensors with `shape` (dynamic dimensions by name) and `actual`.
    dimensions: what these names mean. draw: makes the exporters' set from other random numbers, of each purpose others.
    """

    def other_than(values: Call, purpose: str) -> Call:
        drawn = draw(purpose)
        if not _alike(drawn, values) or _same(drawn, values):
            return _map(values, _rolled)  # not a random function: the values in another order
        return drawn

    again = other_than(inputs[exporter_set], "anew")
    found: dict[str, Generated] = {}
    if not _same(again, inputs[exporter_set]):
        shapes = [leaf["actual"] for leaf in leaves[exporter_set]]
        alike = [key for key in inputs if key != exporter_set and [leaf["actual"] for leaf in leaves[key]] == shapes]
        if not alike:
            found[VALUES] = Generated(again, "the exporters' shapes with other values")
    turned = _map(again, _transposed)
    if any(not t.is_contiguous() for t in _tensors(turned)):
        found[TRANSPOSED] = Generated(turned, "transposed (non-contiguous) tensors", may_refuse=True)
    sizes = list(_sizes(exporter_set, leaves, dimensions))
    added = other_than(again, "added") if sizes else again
    for name, wanted, why, may_refuse in sizes:
        sized = _resized(again, added, leaves[exporter_set], wanted)
        if sum(t.numel() for t in _tensors(sized)) <= LARGEST:
            said = ", ".join(f"{dimension} = {length}" for dimension, length in wanted.items())
            found[name] = Generated(sized, f"{why}: {said}", may_refuse)
    # Padding, silence, a node without edges: what keeps 0 from being divided by shows nowhere else.
    zeros = _map(again, _zeros)
    if not _same(zeros, again) and all(
        not _alike(zeros, given) or not _same(zeros, given) for given in inputs.values()
    ):
        found[ZEROS] = Generated(zeros, "zero for every floating-point number, compared for NaN and infinity")
    return {name: generated for name, generated in found.items() if name not in inputs}


def _sizes(
    exporter_set: str, leaves: Mapping[str, list[dict[str, Any]]], dimensions: Mapping[str, Dimension]
) -> Iterator[tuple[str, dict[str, int], str, bool]]:
    """Yield (name, length by dimension, why, may_refuse) of the sizes that no set of the case has."""
    seen = {key: _lengths(entries) for key, entries in leaves.items()}
    own = seen[exporter_set]
    known = {name: dimensions[name] for name in own if name in dimensions}
    roots: dict[str, int] = {}
    for name, found in known.items():
        value = found.root_of(own[name])
        if value is None:
            return
        roots.setdefault(found.root, value)
    if not roots:
        return
    bounds = {found.root: found for found in known.values()}

    def lengths(values: Mapping[str, int]) -> dict[str, int]:
        return {name: found.length(values[found.root]) for name, found in known.items()}

    def is_new(wanted: Mapping[str, int]) -> bool:
        return wanted != own and all(
            any(name in other and other[name] != length for name, length in wanted.items()) for other in seen.values()
        )

    varied = {name for other in seen.values() for name in known if other.get(name, own[name]) != own[name]}
    if set(known) - varied:
        # Each grows by another number, so that two of one length don't stay alike.
        more = {root: _within(bounds[root], value + 1 + i) for i, (root, value) in enumerate(roots.items())}
        if is_new(wanted := lengths(more)):
            yield SHAPE, wanted, "other sizes", False
    entries = leaves[exporter_set]
    spread = {known[name].root for name in known if _is_spread(name, entries)}
    least = {root: bounds[root].least or (2 if root in spread else 1) for root in roots}
    if is_new(wanted := lengths(least)):
        # A length that the case's own sets have is asked for as well as one that is a bound.
        had = {root: _had(root, known, seen.values()) for root in roots}
        asked = all(bounds[root].least is not None or least[root] in had[root] for root in roots)
        yield LEAST, wanted, "the least sizes", not asked
    most = {root: bounds[root].most or value for root, value in roots.items()}
    if any(bounds[root].most is not None for root in roots) and is_new(wanted := lengths(most)):
        yield MOST, wanted, "the greatest sizes", False


def _is_spread(name: str, entries: list[dict[str, Any]]) -> bool:
    """Whether a dimension is one of space or time in a tensor of numbers: neither its first nor that of integers.

    A single value that a model stretches (an image of one pixel) is the same everywhere and so has none of the noise
    that runtimes differ by. (Measured: SSDLite on such images lost 2.9 bits in ONNX Runtime, and 0.9 on others.)
    """
    return any(
        declared == name and axis > 0 and leaf["dtype"].startswith(("float", "bfloat", "complex"))
        for leaf in entries
        for axis, declared in enumerate(leaf["shape"])
    )


def _had(root: str, known: Mapping[str, Dimension], seen: Iterable[Mapping[str, int]]) -> set[int | None]:
    """The values that a root has in the case's own sets."""
    return {
        known[name].root_of(sizes[name])
        for sizes in seen
        for name in sizes
        if name in known and known[name].root == root
    }


def _within(bounds: Dimension, value: int) -> int:
    return max(bounds.least or 0, value if bounds.most is None else min(value, bounds.most))


def _lengths(entries: list[dict[str, Any]]) -> dict[str, int]:
    """Length by name of the dynamic dimensions of a set."""
    return {
        declared: actual
        for leaf in entries
        for declared, actual in zip(leaf["shape"], leaf["actual"], strict=True)
        if isinstance(declared, str)
    }


def _resized(call: Call, added: Call, entries: list[dict[str, Any]], wanted: Mapping[str, int]) -> Call:
    """Cut tensors along their dynamic dimensions, or lengthen them by rows of `added`, a call of the same shapes.

    All tensors' rows come from the same call, so that a row stays a row and a mask a mask. Rows that only were repeated
    would not be missed: a maximum, a mean or an attention over two equal halves is that over one, and an artifact that
    leaves out what is beyond the exporters' length would pass.
    """
    entry, others = iter(entries), iter(_tensors(added))

    def resize(value: torch.Tensor) -> torch.Tensor:
        other = next(others)
        for axis, declared in enumerate(next(entry)["shape"]):
            had = value.shape[axis]
            length = wanted.get(declared, had) if isinstance(declared, str) else had
            if length != had and had:
                rows = torch.arange(length) % (2 * had)
                value, other = (
                    torch.cat(two, axis).index_select(axis, rows) for two in ((value, other), (other, value))
                )
        return value

    return _map(call, resize)


def _rolled(value: torch.Tensor) -> torch.Tensor:
    """The same values in other places, along the last axis where that changes anything, else along another."""
    for axis in reversed(range(value.dim())):
        rolled = value.roll(1, axis)
        if not torch.equal(rolled, value):
            return rolled
    return value


def _zeros(value: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(value) if value.is_floating_point() or value.is_complex() else value


def _transposed(value: torch.Tensor) -> torch.Tensor:
    """The same tensor with its memory in the reverse order of axes."""
    if sum(length > 1 for length in value.shape) < 2:
        return value
    axes = tuple(reversed(range(value.dim())))
    return value.permute(axes).contiguous().permute(axes)


def contiguous(call: Call) -> Call:
    """The same inputs with every tensor row-major."""
    return _map(call, lambda value: value.contiguous())


def _map(call: Call, function: Callable[[torch.Tensor], torch.Tensor]) -> Call:
    """Apply a function to every tensor of a call, in the order of `leaf_shapes`."""
    return tree_map(lambda leaf: function(leaf) if isinstance(leaf, torch.Tensor) else leaf, call)


def _tensors(call: Call) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(call) if isinstance(leaf, torch.Tensor)]


def _alike(one: Call, two: Call) -> bool:
    """Whether the tensors have the same shapes and dtypes."""
    return [(t.shape, t.dtype) for t in _tensors(one)] == [(t.shape, t.dtype) for t in _tensors(two)]


def _same(one: Call, two: Call) -> bool:
    return all(torch.equal(a, b) for a, b in zip(_tensors(one), _tensors(two), strict=True))
