"""Groups of elements (the whole tensor, and each index of each axis) and sums over all of them in one pass.

A tensor is seen as a matrix: leading axes make its rows, trailing axes its columns, and sums by row and by column
are kept while blocks that fit the L2 cache go by. Sums by axis follow from those two small arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Array = npt.NDArray[Any]

SMALLEST_GROUP = 64  # elements; below that a root mean square says little about a group
BLOCK = 16384  # elements; 8192 to 32768 measured alike (AMD EPYC, 512 KiB of L2 a core), larger ones slower


class Tile(NamedTuple):
    """A contiguous piece of the flattened tensor: whole rows, or a part of one row."""

    start: int
    stop: int
    row: int
    rows: int
    column: int
    width: int


@dataclass(frozen=True)
class Layout:
    """How a shape is cut into groups. Group 0 is the whole tensor; then come the indices of each of `axes` in turn."""

    shape: tuple[int, ...]

    @cached_property
    def size(self) -> int:
        """Return the number of elements."""
        return math.prod(self.shape)

    @cached_property
    def axes(self) -> tuple[int, ...]:
        """Return the axes with more than one index whose slices have at least 64 elements."""
        return tuple(a for a, length in enumerate(self.shape) if length > 1 and self.size // length >= SMALLEST_GROUP)

    @cached_property
    def groups(self) -> int:
        """Return the number of groups."""
        return 1 + sum(self.shape[a] for a in self.axes)

    @cached_property
    def _split(self) -> tuple[int, int]:
        """Return (end of the axes that make rows, begin of those that have sums by column)."""
        if not self.axes:
            return 0, len(self.shape)
        long = max(range(len(self.shape)), key=self.shape.__getitem__)
        if long not in self.axes and self.shape[long] >= SMALLEST_GROUP:
            # (2, 1000000, 4): all other axes together are short, and the long one has no groups of its own.
            return long, long + 1

        def cost(split: int) -> int:  # a row costs a call of numpy's inner loop, a column one addition
            return 16 * math.prod(self.shape[:split]) + math.prod(self.shape[split:])

        best = min(range(len(self.shape)), key=cost)
        return best, best

    @cached_property
    def rows(self) -> int:
        """Return the number of rows of the matrix."""
        return math.prod(self.shape[: self._split[0]])

    @cached_property
    def columns(self) -> int:
        """Return the number of columns of the matrix."""
        return math.prod(self.shape[self._split[0] :])

    @cached_property
    def period(self) -> int:
        """Return what sums by column are kept modulo; `columns` is a multiple of it."""
        return math.prod(self.shape[self._split[1] :])

    @cached_property
    def row_axes(self) -> tuple[int, ...]:
        """Return those of `axes` whose sums follow from the sums by row."""
        return tuple(a for a in self.axes if a < self._split[0])

    @cached_property
    def column_axes(self) -> tuple[int, ...]:
        """Return those of `axes` whose sums follow from the sums by column."""
        return tuple(a for a in self.axes if a >= self._split[1])

    def tiles(self) -> Iterator[Tile]:
        """Cut the tensor into tiles of about `BLOCK` elements, in the order of memory."""
        if not self.size:
            return
        if self.columns <= BLOCK:
            step = BLOCK // self.columns
            for row in range(0, self.rows, step):
                rows = min(step, self.rows - row)
                yield Tile(row * self.columns, (row + rows) * self.columns, row, rows, 0, self.columns)
            return
        step = BLOCK if self.period == self.columns else BLOCK // self.period * self.period
        for row in range(self.rows):
            for column in range(0, self.columns, step):
                width = min(step, self.columns - column)
                start = row * self.columns + column
                yield Tile(start, start + width, row, 1, column, width)

    def name(self, group: int) -> tuple[int, int] | None:
        """Return (axis, index) of a group; None for the whole tensor."""
        group -= 1
        if group >= 0:
            for axis in self.axes:
                if group < self.shape[axis]:
                    return axis, group
                group -= self.shape[axis]
        return None

    def by_axis(self, per_group: Floats) -> Iterator[tuple[int, Floats]]:
        """Yield (axis, values of its indices) of an array with one value a group."""
        start = 1
        for axis in self.axes:
            yield axis, per_group[start : start + self.shape[axis]]
            start += self.shape[axis]

    def counts(self) -> Floats:
        """Count the elements of each group."""
        sizes = [np.full(1, float(self.size))]
        sizes += [np.full(self.shape[a], float(self.size // self.shape[a])) for a in self.axes]
        return np.concatenate(sizes)


class GroupSums:
    """Adds up one value an element, tile by tile; `totals` gives the sums of all groups."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._by_row = np.zeros(layout.rows) if layout.row_axes else None
        self._by_column = np.zeros(layout.period) if layout.column_axes else None
        self._whole = 0.0

    def add(self, tile: Tile, values: Floats) -> None:
        """Add `values`: flat, one an element of the tile."""
        if self._by_row is not None:
            self._by_row[tile.row : tile.row + tile.rows] += np.add.reduce(values.reshape(tile.rows, -1), axis=1)
        if self._by_column is not None:
            if self.layout.period == self.layout.columns and tile.width < self.layout.columns:
                self._by_column[tile.column : tile.column + tile.width] += values
            else:
                self._by_column += _sum_modulo(values, self.layout.period)
        if self._by_row is None and self._by_column is None:
            self._whole += float(np.add.reduce(values))

    def totals(self) -> Floats:
        """Return the sum of each group."""
        layout = self.layout
        totals = np.empty(layout.groups)
        totals[0] = self._whole
        split, resume = layout._split
        for sums, axes, first, last in (
            (self._by_row, layout.row_axes, 0, split),
            (self._by_column, layout.column_axes, resume, len(layout.shape)),
        ):
            if sums is None:
                continue
            totals[0] = np.add.reduce(sums)
            cube = sums.reshape(layout.shape[first:last])
            for axis, part in layout.by_axis(totals):
                if axis in axes:
                    part[:] = np.add.reduce(cube, axis=tuple(a for a in range(cube.ndim) if a != axis - first))
        return totals


def _sum_modulo(values: Floats, period: int) -> Floats:
    """Sum values[j::period]. Short periods are repeated, since numpy pays for each run of its inner loop."""
    repeats = max(1, min(256 // period, values.size // period))
    whole = values.size - values.size % (repeats * period)
    sums: Floats = np.add.reduce(values[:whole].reshape(-1, repeats * period), axis=0)
    if repeats > 1:
        sums = np.add.reduce(sums.reshape(repeats, period), axis=0)
    if whole < values.size:
        sums = sums + np.add.reduce(values[whole:].reshape(-1, period), axis=0)
    return sums


class GroupMinimum:
    """The least, over the groups that an element belongs to, of a value a group has."""

    def __init__(self, layout: Layout, per_group: Floats) -> None:
        self.layout = layout
        split, resume = layout._split
        rows = np.full(layout.shape[:split], per_group[0])
        columns = np.full(layout.shape[resume:], per_group[0])
        for axis, values in layout.by_axis(per_group):
            cube, position = (rows, axis) if axis in layout.row_axes else (columns, axis - resume)
            np.minimum(cube, values.reshape([-1 if a == position else 1 for a in range(cube.ndim)]), out=cube)
        self._rows, self._columns = rows.reshape(-1), columns.reshape(-1)

    def of(self, tile: Tile) -> Floats:
        """Return it for a tile: flat, one value an element."""
        if self.layout.period == self.layout.columns:
            columns = self._columns[tile.column : tile.column + tile.width]
        else:
            columns = np.tile(self._columns, tile.width // self.layout.period)
        rows = self._rows[tile.row : tile.row + tile.rows]
        minimum: Floats = np.minimum(rows[:, None], columns[None, :])
        return minimum.reshape(-1)
