"""What the case host says of a part, so that a small case file can be written: its source, tensors and sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import msgspec

INPUT, PARAMETER, BUFFER = ("input", "parameter", "buffer")
# What the case host reads a part as: its program, the same with sizes that vary, or a layer of torch.nn.
PROGRAM, VARYING, LAYER = WAYS = ("program", "varying", "layer")
# How the names of a second set's tensors begin in a file of them.
OTHER = "two:"
# Where a tensor's numbers come from: from a plain random function; from one with their size and range; from the model.
PLAIN, LIKE, REAL = RECIPES = ("plain", "like", "real")


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor of the source. kind: an input, a parameter or a buffer; name: "x", or "self.weight".

    order: its axes from the outermost in memory, empty where it is row-major. pattern: "full", "arange", "tril", "triu"
    or "". finite: whether all of its numbers are; low, high, mean, deviation: of those that are.
    """

    name: str
    kind: str
    dtype: str
    shape: list[int]
    order: list[int]
    pattern: str
    finite: bool
    low: float
    high: float
    mean: float
    deviation: float


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    """An argument of a call. name: "" by position. text: Python, with places in `literals`. optional: has a default."""

    name: str
    text: list[str | int]
    optional: bool


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of forward. function: "" for an expression, which is the one argument. method: of the first argument.

    imports: the package that registers the operator, or "".
    """

    assigns: str
    function: str
    method: bool
    imports: str
    arguments: list[Argument]


class Slot(msgspec.Struct, frozen=True, array_like=True):
    """A place that has a size, times a factor.

    tensor: "" for a number in a call; axis is then its place in `literals`.
    """

    tensor: str
    axis: int
    factor: int


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """Places that change together: of is what they have, least the least that PyTorch takes."""

    of: int
    least: int
    slots: list[Slot]


class Sketch(msgspec.Struct, frozen=True, kw_only=True):
    """The case host's answer to `sketch`. problem: why there is none, or "".

    others: the inputs of a second set. varies: by input the axes that may vary, with how each is declared, as Python.
    export: the options that the case gives its exporter, as Python, or "". layer: the constructor's call of a layer of
    `torch.nn`, in place of lines; mode: the one that the case has.
    """

    values: list[Value] = []
    lines: list[Line] = []
    returns: list[str] = []
    literals: list[int] = []
    sizes: list[Size] = []
    others: list[Value] = []
    varies: Mapping[str, list[tuple[int, str]]] = {}
    export: str = ""
    layer: str = ""
    mode: str = "eval"
    problem: str = ""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The case host's answer to `keep`. texts: what small tensors are in Python, by name."""

    texts: Mapping[str, str]


@dataclass(frozen=True)
class Choice:
    """What of a sketch is written: recipes by name, what each of its sizes is, and arguments that are left out.

    dropped: as line and name.
    """

    recipes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    sizes: tuple[int, ...] = ()
    dropped: frozenset[tuple[int, str]] = frozenset()

    @classmethod
    def first(cls, sketch: Sketch, recipe: str, small: bool = False) -> Choice:
        """All tensors by one recipe; all sizes the least, or as they are."""
        recipes = {value.name: recipe for value in sketch.values}
        return cls(recipes, tuple(size.least if small else size.of for size in sketch.sizes))

    def key(self) -> tuple[object, ...]:
        """What tells it from others."""
        return (tuple(sorted(self.recipes.items())), self.sizes, self.dropped)

    def with_recipes(self, names: Sequence[str], recipe: str) -> Choice:
        """Some tensors by another recipe."""
        return replace(self, recipes={**self.recipes, **dict.fromkeys(names, recipe)})

    def with_size(self, place: int, size: int) -> Choice:
        """Another size."""
        return replace(self, sizes=(*self.sizes[:place], size, *self.sizes[place + 1 :]))

    def without(self, line: int, argument: str) -> Choice:
        """An argument left out."""
        return replace(self, dropped=self.dropped | {(line, argument)})

    def shape(self, sketch: Sketch, value: Value) -> list[int]:
        """A tensor's."""
        found = list(value.shape)
        for slot, length in self._changed(sketch):
            if slot.tensor == value.name:
                found[slot.axis] = length
        return found

    def literals(self, sketch: Sketch) -> list[int]:
        """The numbers in calls."""
        found = list(sketch.literals)
        for slot, length in self._changed(sketch):
            if not slot.tensor:
                found[slot.axis] = length
        return found

    def below(self, sketch: Sketch, name: str) -> int | None:
        """What whole numbers in a tensor have to be less than: they may be indices of what is smaller now."""
        others = (n for slot, n in self._changed(sketch) if slot.tensor != name and n > 1)
        return min(others, default=None)

    def real(self) -> list[str]:
        """The tensors that are the model's."""
        return [name for name, recipe in self.recipes.items() if recipe == REAL]

    def _changed(self, sketch: Sketch) -> list[tuple[Slot, int]]:
        sized = zip(sketch.sizes, self.sizes, strict=True)
        return [(slot, slot.factor * now) for size, now in sized if now != size.of for slot in size.slots]
