"""Which tolerance a cell is judged by, and what is wrong with those that a case declares for runtimes and dtypes."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace

from .case import DEFAULTS, Tolerance
from .cell import FAST, Cell
from .exports import is_variant

# Tensors of other dtypes: a model may return them whatever it was cast to.
_LIKE = {"complex64": "float32", "complex128": "float64", "float8_e4m3fn": "bfloat16", "float8_e5m2": "bfloat16"}


def limits(tolerance: Tolerance, dtype: str) -> tuple[float, float]:
    """(bits_lost, worst) of a tolerance, with the dtype's defaults where it says nothing."""
    bits_lost, worst = DEFAULTS[_LIKE.get(dtype, dtype)]
    return (
        bits_lost if tolerance.bits_lost is None else tolerance.bits_lost,
        worst if tolerance.worst is None else tolerance.worst,
    )


def choose(tolerance: Tolerance, others: Mapping[str, Tolerance], cell: Cell) -> tuple[Tolerance, Sequence[str]]:
    """A cell's tolerance, and the notes that say so where it is not simply the case's.

    Of `others`, that of the variant of a format comes first, then that of the runtime, that of the fast precision, and
    that of the dtype. Defaults are
    those of the cell's dtype, whatever the dtype of an output: a model in bfloat16 may return float32.
    """
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
    reason = f": {chosen.reason}" if chosen.reason else ""
    return complete, (f"tolerance for {key}: {said(chosen)}{reason}",)


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
        if key == FAST or key in DEFAULTS:
            continue
        if key not in runtimes and not (is_variant(key) and key in variants):
            known = [*filter(is_variant, variants), *runtimes, FAST, *DEFAULTS]
            near = difflib.get_close_matches(key, known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            kinds = "a runtime, a dtype or 'fast'" + (", nor a variant of exports=" if is_variant(key) else "")
            return f"{where}: {key!r} is not {kinds}.{hint} Known: {', '.join(known)}"
        if not tolerance.reason.strip():
            what = f"{'variant' if is_variant(key) else 'runtime'} {key!r}"
            return f'{where}: that for {what} needs a reason: Tolerance({said(tolerance)}, reason="…")'
    return None
