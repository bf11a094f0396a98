"""How noisy eager is on one output tensor: from its runs to the reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from . import hidden
from .groups import Array, Floats, GroupMinimum, GroupSums, Layout, Tile
from .measure import measure
from .numbers import (
    AS_EAGER,
    FLOAT_FORMATS,
    HUGE,
    LEFT_OUT,
    RELATIVE,
    UNSTABLE,
    WILD,
    FloatFormat,
    flat,
    is_complex,
    layout_of,
    log2,
    piece,
)
from .reference import Reference

STRAY = 256.0  # a normal distribution's tail ends at a few times the median
FEWEST_FOR_STRAYS = 64
_ROUNDINGS = 8.0  # in unit roundoffs: of an element, what is no other decision
LEAST_BITS = 3  # an output of which faithful arithmetic keeps fewer can't tell right from wrong
MOST_RESTS = 3  # how often what is left has elements that hide others in turn
MOST_UNSTABLE = 0.5  # share of the elements: beyond that rounding decides the output, and strays are no strays


def make_reference(
    float64: Array | None,
    eager: Array,
    noisy: Sequence[Array],
    dtype: str,
    *,
    reduced: bool = False,
    unstable: Array | None = None,
    tied: Array | None = None,
) -> Reference:
    """Make the reference of one output tensor.

    float64: eager's output in float64, or None where that run wasn't pure. eager: in the case's dtype `dtype`
    (PyTorch's name). noisy: eager with every operator's result moved by its rounding error, same dtype. reduced:
    `noisy` are of bfloat16 arithmetic. unstable: flat, the elements of a floating-point output that are left out, where
    the caller has its own rule for them. tied: elements, other than 0, that depend on an order which PyTorch doesn't
    promise: they are left out, too, unless that is most of the output.
    """
    shape = tuple(eager.shape)
    values = flat(eager)
    if any(run.shape != eager.shape for run in noisy):
        return _of_any_size([eager, *noisy], dtype, shape, values)
    if not values.size:
        return Reference("empty", dtype, shape, values)
    if dtype not in FLOAT_FORMATS:
        return _exact(values, [flat(run) for run in noisy], dtype, shape, tied is not None)
    wide = None if float64 is None or float64.shape != eager.shape else np.asarray(float64)
    if wide is not None and is_complex(dtype) != (wide.dtype.kind == "c"):
        wide = None
    with np.errstate(all="ignore"):
        return _float(
            None if wide is None else flat(wide),
            [values, *(flat(run) for run in noisy)],
            Reference("tolerance" if wide is None else "float", dtype, shape, values, reduced=reduced),
            unstable,
            _few(tied, eager),
            MOST_RESTS if unstable is None else 0,
            MOST_RESTS if unstable is None else 0,
        )


def _few(tied: Array | None, eager: Array) -> Array | None:
    """A flat mask of the numbers that depend on the order of equal elements; None for none, and for too many."""
    if tied is None or tied.shape != eager.shape:
        return None
    mask: Array = np.repeat(tied.reshape(-1) != 0, 2 if eager.dtype.kind == "c" else 1)
    return mask if 0 < np.count_nonzero(mask) <= MOST_UNSTABLE * mask.size else None


def _of_any_size(runs: list[Array], dtype: str, shape: tuple[int, ...], values: Array) -> Reference:
    """Of rows that are kept or not by a threshold: what all runs have in common is asked for."""
    lengths: list[tuple[int, int]] = []
    if all(run.ndim == len(shape) for run in runs):
        for seen in zip(*(run.shape for run in runs), strict=True):
            least, most = min(seen), max(seen)
            lengths += [(least, most) if least == most else _widened(least, most, 0)]
    finite = dtype in FLOAT_FORMATS and all(bool(np.isfinite(flat(run).astype(np.float64)).all()) for run in runs)
    blind = "of a size that rounding decides"
    return Reference("unstable", dtype, shape, values, blind=blind, lengths=tuple(lengths), finite=finite)


def _widened(least: int, most: int, lowest: int) -> tuple[int, int]:
    """A range that a few runs were in, as wide again to both sides, and one more."""
    more = most - least + 1
    return max(lowest, least - more) if least >= lowest else least - more, most + more


def _exact(values: Array, noisy: list[Array], dtype: str, shape: tuple[int, ...], tied: bool) -> Reference:
    """tied: whether there are indices of equal elements, of which a few runs don't show all."""
    unstable = np.zeros(values.size, dtype=bool)
    for run in noisy:
        unstable |= run != values
    count = int(unstable.sum())
    codes = np.where(unstable, np.uint8(UNSTABLE), np.uint8(0)) if count else None
    blind = ""
    if count > MOST_UNSTABLE * values.size:
        blind = (
            f"decided by rounding or by the order of equal elements ({100 * count / values.size:.3g} % of its elements)"
        )
    elif values.size > 1 and (values == values[0]).all():
        blind = f"{values[0]} everywhere"
    allowed = None
    if count and dtype != "bool" and not tied:
        # An index is within the same tensor whichever it is, and a number of rows is near the others.
        ends = [int(end) for run in (values, *noisy) for end in (run.min(), run.max())]
        allowed = _widened(min(ends), max(ends), 0)
    return Reference("exact", dtype, shape, values, codes=codes, unstable=count, blind=blind, allowed=allowed)


def _float(
    r: Array | None,
    runs: list[Array],
    reference: Reference,
    left_out: Array | None,
    tied: Array | None,
    rests: int,
    masks: int,
) -> Reference:
    """Two passes: sums and element noise, then (with the groups' noise known) the floor.

    A third and fourth where some elements turn out to depend on rounding, so that their noise hides no other's. And all
    of it once more for what would be hidden by others' size. rests, masks: how often that may be.
    """
    begun = reference
    layout = layout_of(reference.shape, reference.dtype)
    number = reference.format
    pure = r is not None
    r = runs[0] if r is None else r
    apart = tied if left_out is None else left_out
    sums = _sums(r, runs, layout, number, pure, apart)
    # Where one element is that far off, by noise or not, it pays to look.
    is_far = pure and left_out is None and float(sums.floor.max()) * 2 * STRAY > sums.signal[0]
    if is_far and (settled := _settled(r, runs, layout, number)) is not None:
        # Of the same numbers float64 makes another decision: a threshold of 0.3, of which float32 has another one.
        r = np.where(settled, runs[0].astype(np.float64), r)
        sums = _sums(r, runs, layout, number, pure, apart)
    given = r
    if left_out is None and pure and (strays := _strays(sums, r, layout, number)) is not None:
        sums = _sums(r, runs, layout, number, pure, strays if tied is None else strays | tied)
    codes = sums.codes
    unstable = 0 if codes is None else int(np.count_nonzero((codes == UNSTABLE) | (codes == WILD)))
    blind = _blind(sums, float(sums.noise[0]) if pure else 0.0, unstable)
    if not pure:
        reference = replace(reference, codes=codes, signal=sums.signal[:1], unstable=unstable, blind=blind)
        return replace(reference, unmasked=_unmasked(None, runs[0], runs, reference, begun, masks))
    r = r.astype(np.float64, copy=False) if sums.cleaned is None else sums.cleaned
    own = sums.floor.copy() if rests else sums.floor
    raise_floor(sums.floor, r, codes, layout, sums.noise, number)
    bits = log2(float(sums.signal[0])) - log2(float(sums.noise[0])) if sums.signal[0] else None
    if not blind and bits is not None and bits < max(1, min(LEAST_BITS, number.precision - 2)):
        blind = f"nearly all rounding: faithful arithmetic keeps {bits:.1f} bits of it"
    reference = replace(
        reference,
        r=r,
        floor=sums.floor,
        codes=codes,
        signal=sums.signal,
        noise=sums.noise,
        counts=None if codes is None else sums.counts,
        reference_bits=bits,
        unstable=unstable,
        blind=blind,
    )
    reference = replace(reference, eager_numbers=measure(reference.eager, reference))
    if rests and (large := hidden.large(own, sums.floor, r, codes, float(sums.noise[0]), number)) is not None:
        without = large if codes is None else large | (codes == UNSTABLE)
        rest = _float(given, runs, replace(begun, blind=""), without, None, rests - 1, 0)
        reference = replace(reference, rest=rest)
    return replace(reference, unmasked=_unmasked(given, r, runs, reference, begun, masks))


def _unmasked(
    given: Array | None, r: Array, runs: list[Array], reference: Reference, begun: Reference, masks: int
) -> Reference | None:
    """The reference without masks, up to so many in turn; None if it has none. given, begun: what it was made of."""
    codes = reference.codes
    # Without float64 the default is all that they are judged by, whatever the noise.
    most = reference.format.lenient if given is None else 2.0**-hidden.MORE
    if not masks or (large := hidden.masks(r, codes, runs, most)) is None:
        return None
    without = large if codes is None else large | (codes == UNSTABLE)
    return _float(given, runs, replace(begun, blind=""), without, None, 0, masks - 1)


@dataclass
class _Sums:
    """What the first pass finds. floor: n_i by element. cleaned: r, if something in it had to be replaced."""

    floor: Array
    codes: Array | None
    cleaned: Array | None
    counts: Floats
    signal: Floats
    noise: Floats
    least: float
    greatest: float


def _sums(
    r: Array, runs: list[Array], layout: Layout, number: FloatFormat, pure: bool, unstable: Array | None
) -> _Sums:
    cleaned: Array | None = None
    codes: Array | None = None
    floor = np.empty(layout.size if pure else 0, dtype=np.float64 if number.precision > 24 else np.float32)
    signal, included = GroupSums(layout), GroupSums(layout)
    noises = [GroupSums(layout) for _ in runs] if pure else []
    least, greatest = math.inf, -math.inf
    for tile in layout.tiles():
        run_pieces = [piece(run, tile).astype(np.float64) for run in runs]
        r_piece = piece(r, tile).astype(np.float64)
        tile_codes = _classify(r_piece, run_pieces)
        if unstable is not None and (here := unstable[tile.start : tile.stop]).any():
            tile_codes = np.zeros(r_piece.size, dtype=np.uint8) if tile_codes is None else tile_codes
            tile_codes[here & (tile_codes == 0)] = UNSTABLE
        ordinary = np.ones(r_piece.size)
        if tile_codes is not None:
            ordinary = (tile_codes == 0).astype(np.float64)
            r_piece = np.where(tile_codes == RELATIVE, run_pieces[0], r_piece)
            r_piece[(tile_codes != 0) & (tile_codes != RELATIVE)] = 0.0
            codes = np.zeros(layout.size, dtype=np.uint8) if codes is None else codes
            codes[tile.start : tile.stop] = tile_codes
            if pure:
                cleaned = r.astype(np.float64) if cleaned is None else cleaned
                cleaned[tile.start : tile.stop] = r_piece
        if ordinary.any():
            compared = r_piece if tile_codes is None else r_piece[tile_codes == 0]
            least, greatest = min(least, float(compared.min())), max(greatest, float(compared.max()))
        included.add(tile, ordinary)
        masked = r_piece if tile_codes is None else np.where(tile_codes == 0, r_piece, 0.0)
        signal.add(tile, masked * masked)
        if pure:
            floor[tile.start : tile.stop] = _element_noise(r_piece, run_pieces, tile_codes, noises, tile)
    counts = included.totals()
    group_signal = np.sqrt(signal.totals() / np.maximum(counts, 1.0))
    group_noise = np.maximum(number.roundoff * group_signal, number.tiny)
    for sums in noises:
        np.maximum(group_noise, np.sqrt(sums.totals() / np.maximum(counts, 1.0)), out=group_noise)
    if group_signal[0]:
        # Of a group whose noise comes from few roundings (the sine of one position), a few draws may show little: one
        # bit more is taken for granted, where the whole tensor has it in relation to its size.
        usual = group_signal * (group_noise[0] / group_signal[0])
        np.maximum(group_noise, np.minimum(usual, 2.0 * group_noise), out=group_noise)
    return _Sums(floor, codes, cleaned, counts, group_signal, group_noise, least, greatest)


def _settled(r: Array, runs: list[Array], layout: Layout, number: FloatFormat) -> Array | None:
    """Find elements of which all of eager's runs say the same, and float64 something quite else; None for none.

    Nothing near there depends on rounding: a runtime computes as eager does. Quite else: by STRAY times what any run
    moves the element by, and what runs move elements by usually, and 1 / STRAY of the output's size.
    """
    if len(runs) < 2:
        return None
    found = np.zeros(layout.size, dtype=bool)
    moved = signal = 0.0
    count = 0
    for tile in layout.tiles():
        pieces = [piece(run, tile).astype(np.float64) for run in runs]
        eager, wide = pieces[0], piece(r, tile).astype(np.float64)
        own = np.max([np.abs(run - eager) for run in pieces[1:]], axis=0, initial=0.0)
        there = np.isfinite(own) & np.isfinite(eager) & (np.abs(eager) < HUGE) & (np.abs(wide) < HUGE)
        moved += float(np.square(own[there]).sum())
        signal += float(np.square(eager[there]).sum())
        count += int(np.count_nonzero(there))
        found[tile.start : tile.stop] = there & (
            np.abs(eager - wide) > STRAY * (own + 2 * number.roundoff * np.abs(eager) + number.tiny)
        )
    places = np.flatnonzero(found)
    if not places.size:
        return None
    off = np.abs(runs[0][places].astype(np.float64) - r[places])
    least = max(STRAY * math.sqrt(moved / count), math.sqrt(signal / count) / STRAY)
    found[places] = off > least
    return found if found.any() else None


def _strays(sums: _Sums, r: Array, layout: Layout, number: FloatFormat) -> Array | None:
    """Find elements that eager's noisy runs give quite other values, as where two rows of a sorted output swap.

    These have a noise of another kind than the rest: STRAY times the typical one (the median of n_i in units of the
    last place of the group's size), and over 1 / STRAY of that size itself. None if there is none, or too many: then
    that is how noisy the output is. What a few roundings of the element itself explain is none: one of bfloat16 is
    1 / STRAY.
    """
    if layout.size < FEWEST_FOR_STRAYS:
        return None
    if (sums.noise * STRAY * np.sqrt(sums.counts) <= sums.signal).all():
        return None  # not even one element could be that noisy
    size = GroupMinimum(layout, np.maximum(sums.signal, number.tiny))
    relative = np.empty(layout.size, dtype=np.float32)
    for tile in layout.tiles():
        part = sums.floor[tile.start : tile.stop]
        relative[tile.start : tile.stop] = part / size.of(tile)
    if sums.codes is not None:
        relative[sums.codes != 0] = 0.0
    noisy = relative[relative > 0.0]
    if noisy.size < FEWEST_FOR_STRAYS:
        return None
    strays: Array = relative > max(STRAY * float(np.median(noisy)), 1.0 / STRAY)
    strays &= sums.floor > _ROUNDINGS * number.roundoff * np.abs(r)
    return strays if 0 < np.count_nonzero(strays) <= MOST_UNSTABLE * strays.size else None


def _classify(r: Floats, runs: list[Floats]) -> Array | None:
    """Say what each position of a tile is; None if all are ordinary."""
    if all(np.abs(values).max() < HUGE for values in (r, *runs)):  # False with a NaN
        return None
    eager = runs[0]
    finite, r_finite = np.isfinite(eager), np.isfinite(r)
    codes = np.zeros(r.size, dtype=np.uint8)
    codes[finite & ~r_finite] = LEFT_OUT
    codes[finite & ((np.abs(eager) >= HUGE) | (r_finite & (np.abs(r) >= HUGE)))] = RELATIVE
    codes[~finite] = AS_EAGER
    for run in runs[1:]:
        same = (run == eager) | (np.isnan(run) & np.isnan(eager))
        codes[~same & ~(finite & np.isfinite(run))] = WILD
    return codes


def _element_noise(r: Floats, runs: list[Floats], codes: Array | None, noises: list[GroupSums], tile: Tile) -> Floats:
    """Return n_i of a tile, and add the squared differences of each run to its sums by group."""
    total = np.zeros(r.size)
    largest = np.zeros(r.size)
    for run, sums in zip(runs, noises, strict=True):
        differences = run - r
        if codes is not None:
            differences[(codes != 0) & (codes != RELATIVE)] = 0.0
            np.maximum(largest, np.abs(differences), out=largest)
            differences[codes == RELATIVE] = 0.0
        squares = differences * differences
        sums.add(tile, squares)
        total += squares
    # Squares of huge numbers overflow, so there the largest difference stands for the root mean square.
    return np.sqrt(total / len(runs)) if codes is None else np.where(codes, largest, np.sqrt(total / len(runs)))


def raise_floor(
    floor: Array, r: Floats, codes: Array | None, layout: Layout, noise: Floats, number: FloatFormat
) -> None:
    """Turn n_i into max(n_i, min over groups of N_g, 2 u |r_i|), in place."""
    minimum = GroupMinimum(layout, noise)
    most = float(np.finfo(floor.dtype).max)
    for tile in layout.tiles():
        part = floor[tile.start : tile.stop]
        relative = np.abs(r[tile.start : tile.stop])
        relative *= 2 * number.roundoff
        group = minimum.of(tile)
        if codes is not None:
            group = np.where(codes[tile.start : tile.stop] == RELATIVE, number.tiny, group)
        np.maximum(part, np.minimum(np.maximum(group, relative), most), out=part, casting="same_kind")
        np.minimum(part, most, out=part)


def _blind(sums: _Sums, noise: float, unstable: int) -> str:
    """What an output is that tells a right export from a wrong one as little as a constant; "" if it isn't."""
    count, least, greatest = sums.counts[0], sums.least, sums.greatest
    if not count:
        return "decided by rounding everywhere" if unstable else "NaN, infinite or beyond 1e30 everywhere"
    if least == greatest == 0.0:
        return "zero everywhere"
    if count > 1 and least == greatest:
        return f"{least:g} everywhere"
    if count > 1 and greatest - least <= noise:
        return f"constant ({least:.6g} to {greatest:.6g}) within the noise"
    return ""
