"""A reference with the noise of further runs: three may say too little of a row that amplifies one error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .groups import Array, GroupSums
from .measure import measure
from .noise import STRAY, raise_floor
from .numbers import RELATIVE, flat, layout_of, log2, piece
from .reference import Reference


def with_more_noise(reference: Reference, runs: Sequence[Array]) -> Reference:
    """The reference with N_g and n_i that also hold for `runs`: neither is less than it was.

    A run in which something was decided otherwise (two rows of a sorted output have swapped) is no larger error of the
    same kind: elements that it moves by STRAY times what the reference knows as noise say nothing.

    reference: of kind "float". runs: eager under operator noise, of the reference's shape and dtype.
    Raises ValueError for runs of another shape, and for another reference.
    """
    if reference.r is None or reference.floor is None or reference.noise is None:
        raise ValueError(f"a reference of kind {reference.kind!r} has no noise")
    if odd := next((run.shape for run in runs if tuple(run.shape) != reference.shape), None):
        raise ValueError(f"a run has the shape {tuple(odd)}, the reference {reference.shape}")
    layout = layout_of(reference.shape, reference.dtype)
    values = [flat(run) for run in runs]
    sums = [GroupSums(layout) for _ in values]
    floor = np.array(reference.floor)
    most = float(np.finfo(floor.dtype).max)
    with np.errstate(all="ignore"):
        for tile in layout.tiles():
            here = slice(tile.start, tile.stop)
            codes = None if reference.codes is None else reference.codes[here]
            squares = np.zeros(tile.stop - tile.start)
            largest = np.zeros(tile.stop - tile.start)
            for run, sum_ in zip(values, sums, strict=True):
                differences = piece(run, tile).astype(np.float64) - reference.r[here]
                # What isn't finite here says nothing of the size of an error.
                differences[~np.isfinite(differences)] = 0.0
                differences[np.abs(differences) > STRAY * reference.floor[here]] = 0.0
                if codes is not None:
                    differences[(codes != 0) & (codes != RELATIVE)] = 0.0
                    np.maximum(largest, np.abs(differences), out=largest)
                    differences[codes == RELATIVE] = 0.0
                square = differences * differences
                sum_.add(tile, square)
                squares += square
            sizes = np.maximum(np.sqrt(squares / max(len(values), 1)), largest)
            np.maximum(floor[here], np.minimum(sizes, most), out=floor[here], casting="same_kind")
        counts = layout.counts() if reference.counts is None else reference.counts
        noise = np.array(reference.noise)
        for sum_ in sums:
            np.maximum(noise, np.sqrt(sum_.totals() / np.maximum(counts, 1.0)), out=noise)
        raise_floor(floor, reference.r, reference.codes, layout, noise, reference.format)
        signal = 0.0 if reference.signal is None else float(reference.signal[0])
        bits = log2(signal) - log2(float(noise[0])) if signal else None
        rest, unmasked = (
            None if part is None else with_more_noise(part, runs) for part in (reference.rest, reference.unmasked)
        )
        found = replace(reference, floor=floor, noise=noise, reference_bits=bits, rest=rest, unmasked=unmasked)
        return replace(found, eager_numbers=measure(found.eager, found))
