"""Elements that are so large that the noise of their groups hides all others: a mask of -1e9 among logits.

A group's noise is at least a share of its size (one roundoff), and an element may be off by the least of its groups'.
Where masks, or pixels beside probabilities in bfloat16, are most of that size, nothing would be asked of the others.

A tolerance that the user gives, or that stands for a float64 run that isn't there, is a share of the tensor's size. It
hides far more, and much of that is as it should be: int8 has no step for the tails of a softmax. So only masks are
taken apart for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .groups import Array
from .numbers import FloatFormat

# The smallest of the large ones is so many times the others' root mean square: a mask, a time stamp or a coordinate is,
# and the tail of one distribution hardly ever (of exponentials of widely spread numbers it may be).
APART = 256.0
# Fewer have no root mean square worth the name.
FEWEST = 16
# Bits of the others that are still seen; with so many, what a user would call wrong is.
SEEN = 8.0
# Bits more that they themselves have.
MORE = 3.0
# The smallest number that is used as a mask is 1e4 (BERT's, for which float16 has room, too), sometimes with a score
# added to it. No probability is that large.
MASK = 9e3
# A mask is told from the others by its size, so that fewer of them have a root mean square: actions of a game.
FEWEST_UNMASKED = 3


def large(own: Array, floor: Array, r: Array, codes: Array | None, noise: float, number: FloatFormat) -> Array | None:
    """Find the elements that hide others; None where there are none.

    own: n_i by element. floor: max(n_i, min over groups of N_g, 2 u |r_i|). r, codes: the reference's; all flat. noise:
    N of the whole tensor.
    """
    sizes = np.abs(r)
    if codes is not None:
        sizes = np.where(codes == 0, sizes, 0.0)
    # What is hidden has a root mean square below 2^SEEN N, and what hides it is APART from that. Of most tensors few
    # elements are that small, so that this costs little.
    bound = APART * 2.0**SEEN * noise
    small = (sizes > 0.0) & (sizes < bound)
    there = np.flatnonzero(small)
    if there.size < FEWEST:
        return None
    found = sizes[there]
    beyond = float(np.min(sizes, where=sizes >= bound, initial=np.inf))
    # By octave: |r| in [2^(e - 1), 2^e); one more stands for all that is beyond.
    octaves = np.frexp(found)[1]
    least = int(octaves.min())
    octaves = octaves - least
    counts = np.append(np.bincount(octaves), int(beyond < np.inf))
    begins = np.append(2.0 ** (np.arange(counts.size - 1) + float(least) - 1.0), beyond)
    # Of what is below each octave.
    below = np.cumsum(counts) - counts
    squares, noises, hidden = (_below(octaves, values) for values in (found, own[there], floor[there]))
    rms, own_rms, floor_rms = (np.sqrt(total / np.maximum(below, 1)) for total in (squares, noises, hidden))
    own_rms = np.maximum(own_rms, number.roundoff * rms)
    seen = np.log2(rms / np.maximum(floor_rms, number.tiny))
    themselves = np.log2(rms / np.maximum(own_rms, number.tiny))
    apart = (counts > 0) & (below >= FEWEST) & (begins >= APART * rms)
    chosen = np.flatnonzero(apart & (seen < SEEN) & (themselves >= np.maximum(seen, 0.0) + MORE))
    if not chosen.size:
        return None
    # The highest: below it, others may be hidden in turn.
    mask: Array = sizes >= begins[chosen[-1]]
    return mask


def masks(r: Array, codes: Array | None, runs: Sequence[Array], most: float) -> Array | None:
    """Find elements of `MASK` and more beside others that are `APART` from them; None where there are none.

    r, codes: the reference's. runs: eager's; all flat. most: that the others may move by in these, of their size: what
    is less certain can't be asked for.
    """
    r = r if r.dtype.isbuiltin == 1 else r.astype(np.float32)  # of ml_dtypes
    if max(np.fmax.reduce(r), -np.fmin.reduce(r)) < MASK:
        return None  # of most tensors: no copy is made
    sizes = np.abs(r.astype(np.float64))
    if codes is not None:
        sizes[codes != 0] = 0.0
    ordered = np.sort(sizes[sizes > 0.0])
    below = np.arange(ordered.size)
    # Not by a difference, see `_below`.
    rms = np.sqrt(np.concatenate([[0.0], np.cumsum(np.square(ordered[:-1]))]) / np.maximum(below, 1))
    begins = (below >= FEWEST_UNMASKED) & (ordered >= np.maximum(MASK, APART * rms))
    for place in np.flatnonzero(begins)[::-1]:
        others = (sizes > 0.0) & (sizes < ordered[place])
        own = max(float(np.sqrt(np.mean(np.square(run[others].astype(np.float64) - r[others])))) for run in runs)
        if own <= most * float(np.sqrt(np.mean(np.square(sizes[others])))):
            mask: Array = sizes >= ordered[place]
            return mask
    return None


def _below(octaves: Array, values: Array) -> Array:
    """The sums of squares of what is below each octave."""
    wide = values.astype(np.float64)
    totals = np.bincount(octaves, weights=wide * wide)
    # Not by a difference: the largest would leave nothing of the others' digits.
    found: Array = np.concatenate([[0.0], np.cumsum(totals)])
    return found
