"""The table of what can be seen from the numbers alone, and which of it is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from . import integers, layout, rows, sets, values
from .judge import Judge, Seen
from .sentences import listed, outputs

# What may be wrong with one tensor, the simplest explanation first. Each says what the output is or has, or None.
PATTERNS: tuple[Callable[[Judge], str | None], ...] = (
    values.constant,
    integers.narrowed,
    integers.overflowed,
    integers.inverted,
    values.sign,
    values.conjugated,
    values.pairs,
    values.special,
    layout.reshaped,
    layout.permuted,
    layout.flipped,
    layout.rolled,
    layout.misread,
    values.scaled,
    values.shifted,
    integers.off_by_one,
    values.functions,
    values.affine,
    layout.reordered,
    layout.cut,
    values.by_axis,
)
MOST = 2  # hints of a cell
_MOST_OUTPUTS = 8  # of a set that are looked at


def hints(seen: Sequence[Seen], exporter: str, late: Callable[[], bool] = lambda: False) -> tuple[list[str], bool]:
    """What explains the outputs of those sets that have some, and whether that leaves nothing unexplained.

    exporter: name of the set that exporters saw. late: whether there is no time for more.
    """
    with np.errstate(all="ignore"):
        found: dict[str, list[tuple[str, str | None]]] = {}
        complete = True
        for one in (one for one in seen if one.outputs):
            for path, sentence, whole in _of_set(one, seen, exporter, late):
                complete = complete and whole
                if sentence:
                    found.setdefault(sentence, []).append((one.name, path))
    ranked = sorted(found.items(), key=lambda item: -len(item[1]))[:MOST]
    return [_say(sentence, places, len(seen) > 1) for sentence, places in ranked], complete and bool(ranked)


def only_exported(seen: Sequence[Seen], exporter: str) -> str | None:
    """Say so where the set that exporters saw is right and every other one is wrong."""
    wrong = [one.name for one in seen if not one.right]
    if len(seen) < 3 or exporter in wrong or len(wrong) < len(seen) - 1:
        return None
    # What is close has lost some bits: that may depend on sizes, and shows nothing that was baked in.
    if all(one.wrong and all(judge.close for judge in one.wrong.values()) for one in seen if one.outputs):
        return None
    return f"only the exported input set {exporter!r} is right: something that depends on the inputs was baked in"


def only_exported_size(seen: Sequence[Seen], exporter: str) -> str | None:
    """Say so where all inputs of the size that was exported are right, and none of another size is.

    That takes two sets of other sizes, or two right ones (other values of the same size), to be no accident. At least
    one of another size has to have run: what only refuses them says so itself.
    """
    first = next((one for one in seen if one.name == exporter), None)
    if first is None or not first.right or not first.shapes:
        return None
    alike = [one for one in seen if one.shapes == first.shapes and one.ran]
    others = [one for one in seen if one.shapes != first.shapes]
    wrong = [one for one in others if one.outputs]
    if not wrong or not all(one.right for one in alike) or any(one.right for one in others):
        return None
    if len(others) < 2 and len(alike) < 2:
        return None
    if all(one.wrong and all(judge.close for judge in one.wrong.values()) for one in wrong):
        return None
    names = listed([repr(one.name) for one in alike])
    return (
        f"right only for the size that was exported, {first.sizes} ({names}): a length was baked in, as by a Python "
        "loop over it in forward, or by int(x.shape[0])"
    )


def _of_set(
    one: Seen, seen: Sequence[Seen], exporter: str, late: Callable[[], bool]
) -> list[tuple[str | None, str | None, bool]]:
    """(path, sentence, whether that is the whole explanation); without a path the sentence has a subject of its own."""
    for sentence in (sets.other_order(one), sets.baked(one, seen, exporter)):
        if sentence:
            return [(None, sentence, True)]
    result: list[tuple[str | None, str | None, bool]] = []
    others = [other for other in seen if other is not one]
    first = next((other for other in others if other.name == exporter), None)
    for path, judge in list(one.wrong.items())[:_MOST_OUTPUTS]:
        sentence = None
        for pattern in PATTERNS:
            if late():
                return [*result, (path, None, False)]
            if sentence := pattern(judge):
                break
        sentence = sentence or rows.argmax_ties(judge, one.references)
        sentence = sentence or rows.wrong_rows(judge, others, path, first.references.get(path) if first else None)
        if not sentence and (rounded := values.narrow(judge)):
            # That it was rounded does not say why: the case host may know.
            result.append((path, rounded, False))
            continue
        result.append((path, sentence, sentence is not None))
    return result


def _say(sentence: str, places: Sequence[tuple[str, str | None]], several: bool) -> str:
    """A sentence with its subject. places: (input set, path of the output)."""
    names = list(dict.fromkeys(name for name, _ in places))
    where = f"input set {names[0]!r}: " if several and len(names) == 1 else ""
    paths = [path for path in dict.fromkeys(path for _, path in places) if path is not None]
    return f"{where}{outputs(paths)} {sentence}" if paths else f"{where}{sentence}"
