"""Which tolerance a cell is judged by, and what is wrong with those that a case declares for runtimes and dtypes."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace

from .accuracy import ACCURACIES, accuracy
from .case import DEFAULTS, Tolerance
from .cell import FAST, Cell
from .exports import base_of, is_variant
from .outcome import Outcome

# How the note of a cell begins whose format makes models less exact.
RIGHT = "right to "
# Tensors of other dtypes: a model may return them whatever it was cast to.
_LIKE = {"complex64": "float32", "complex128": "float64", "float8_e4m3fn": "bfloat16", "float8_e5m2": "bfloat16"}


def limits(tolerance: Tolerance, dtype: str) -> tuple[float, float]:
    """(bits_lost, worst) of a tolerance, with the dtype's defaults where it says nothing."""
    bits_lost, worst = DEFAULTS[_LIKE.get(dtype, dtype)]
    return (
        bits_lost if tolerance.bits_lost is None else tolerance.bits_lost,
        worst if tolerance.worst is None else tolerance.worst,
    )


def is_explicit(tolerance: Tolerance) -> bool:
    """Whether it replaces the rule in units of the noise by one of its own."""
    return any(value is not None for value in (tolerance.rtol, tolerance.atol, tolerance.cosine, tolerance.bits))


def choose(tolerance: Tolerance, others: Mapping[str, Tolerance], cell: Cell) -> tuple[Tolerance, Sequence[str]]:
    """A cell's tolerance, and the notes that say so where it is not simply the case's.

    Of `others`, that of the variant of a format comes first, then that of the runtime, that of the fast precision, and
    that of the dtype. Defaults are those of the cell's dtype, whatever the dtype of an output: a model in bfloat16 may
    return float32. A format that makes models less exact has an accuracy of its own, which only a tolerance under the
    name of the variant or of the format replaces.
    """
    if (stated := accuracy(cell.format)) is not None:
        own = next((name for name in (cell.format, base_of(cell.format)) if name in others), None)
        if own is None:
            return stated, ()
        chosen = others[own] if is_explicit(others[own]) else replace(others[own], bits=stated.bits)
        return chosen, (_note(own, chosen),)
    keys = (
        *([cell.format] if is_variant(cell.format) else []),
        cell.runtime,
        *([FAST] if cell.precision == FAST else []),
        cell.dtype,
    )
    key = next((key for key in keys if key in others), None)
    chosen = tolerance if key is None else others[key]
    bits_lost, worst = limits(chosen, cell.dtype)
    complete = replace(chosen, bits_lost=bits_lost, worst=worst)
    if key is None:
        return complete, ()
    return complete, (_note(key, chosen),)


def _note(key: str, chosen: Tolerance) -> str:
    reason = f": {chosen.reason}" if chosen.reason else ""
    return f"tolerance for {key}: {said(chosen)}{reason}"


def loss_note(format_name: str, outcome: Outcome, tolerance: Tolerance) -> str:
    """What a format that makes models less exact leaves of a case that ran; "" for other formats."""
    if accuracy(format_name) is None or outcome.bits is None:
        return ""
    whole = "" if outcome.reference_bits is None else f" of {outcome.reference_bits:.1f}"
    return f"{RIGHT}{outcome.bits:.1f}{whole} bits ({said(tolerance)} is asked for)"


def said(tolerance: Tolerance) -> str:
    """The numbers that a tolerance gives, as in `Tolerance(…)`."""
    numbers = [(f.name, getattr(tolerance, f.name)) for f in fields(Tolerance) if f.name not in ("reason", "strict")]
    words = [f"{name}={value:g}" for name, value in numbers if value is not None]
    return ", ".join([*words, *(["strict=True"] if tolerance.strict else [])]) or "the dtype's default"


def fault(
    case: str, tolerances: Mapping[str, Tolerance], runtimes: Sequence[str], variants: Collection[str] = ()
) -> str | None:
    """What is wrong with the keys of a case's `tolerances`, and the remedy; None if nothing is.

    variants: the columns that `exports` gives.
    """
    where = f"case {case!r}, field 'tolerances'"
    for key, tolerance in tolerances.items():
        if key == FAST or key in DEFAULTS or (accuracy(key) is not None and not is_variant(key)):
            continue
        if key not in runtimes and not (is_variant(key) and key in variants):
            known = [*filter(is_variant, variants), *runtimes, FAST, *DEFAULTS, *ACCURACIES]
            near = difflib.get_close_matches(key, known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            kinds = "a runtime, a dtype, 'fast' or a quantised format"
            kinds += ", nor a variant of exports=" if is_variant(key) else ""
            return f"{where}: {key!r} is not {kinds}.{hint} Known: {', '.join(known)}"
        if not tolerance.reason.strip():
            what = f"{'variant' if is_variant(key) else 'runtime'} {key!r}"
            return f'{where}: that for {what} needs a reason: Tolerance({said(tolerance)}, reason="…")'
    return None
