"""Runs all input sets and compares what comes out with what the model itself returns."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from .tensor_files import read


def check(sets: dict[str, dict[str, Any]], repeats: int, call: Callable[[str], dict[str, Any]]) -> int:
    """The exit status: 1 if any input set raises, or gives something else than is expected."""
    failures, refused = 0, []
    for name, facts in sets.items():
        expected = read(f"expected-{name}.safetensors")
        for repeat in range(repeats):
            print(f"input set {name}, run {repeat + 1} of {repeats}")
            try:
                found = call(name)
            except Exception:
                traceback.print_exc()
                if facts["may_refuse"]:
                    refused.append(name)
                    print("  REFUSED: unsupported rather than wrong")
                else:
                    failures += 1
                    print("  RAISES")
                break
            for output, wanted in facts["outputs"].items():
                if output not in found:
                    failures += 1
                    print(f"  {output}: MISSING among {', '.join(found)}")
                    continue
                failures += compare(output, found[output], wanted, expected[output], expected[f"{output} allowed"])
    but = f"; refused: {', '.join(refused)}" if refused else ""
    print((f"{failures} failures" if failures else "as expected") + but)
    return 1 if failures else 0


def compare(name: str, value: Any, wanted: dict[str, Any], expected: Any, allowed: Any) -> int:
    """Print how an output differs; 1 if by more than is allowed. Complex numbers are compared as pairs of real ones."""
    value = np.asarray(value)
    said = f"  {name}: {value.dtype.name}{list(value.shape)}"
    if value.dtype.name not in wanted["dtypes"] or list(value.shape) != wanted["shape"]:
        print(f"{said}, DIFFERS: expected {wanted['dtypes'][0]}{wanted['shape']}")
        return 1
    if np.iscomplexobj(value):
        value = np.stack([value.real, value.imag], -1)
    if not value.size:
        print(f"{said}, empty as expected")
        return 0
    got, want = value.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.abs(got - want)
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    difference = np.where(same, 0.0, np.where(np.isnan(difference), np.inf, difference))
    # Of those that must be equal, integers that float64 doesn't hold, too.
    bad = difference > allowed
    if expected.dtype.kind in "iub":
        bad |= (value != expected) & (allowed == 0)
    bad &= ~np.isinf(allowed)
    counted = difference[np.isfinite(allowed) & np.isfinite(want)]
    rms = float(np.sqrt(np.mean(np.square(counted)))) if counted.size else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = np.where(bad, difference, 0.0) if bad.any() else np.where(np.isinf(allowed), -1.0, difference)
    index = tuple(int(i) for i in np.unravel_index(int(beyond.argmax()), beyond.shape))
    largest = float(difference[index])
    said += (
        f", max abs difference {largest:.3g} at {list(index)}: {float(got[index])!r}, expected {float(want[index])!r}"
    )
    said += f"; rms of differences {rms:.3g} ({wanted['rms']:.3g} allowed)"
    wrong = bool(bad.any()) or not rms <= wanted["rms"]
    if wanted["cosine"] is not None:
        cosine = float(np.vdot(got, want) / (np.linalg.norm(got) * np.linalg.norm(want)))
        said += f"; cosine similarity {cosine:.6f} (at least {wanted['cosine']:g} expected)"
        wrong = wrong or not cosine >= wanted["cosine"]
    # What is so large that it would hide the others is left out.
    for part in wanted["parts"]:
        small = np.isfinite(want) & (np.abs(want) < part["below"])
        counted, a, b = difference[small & np.isfinite(allowed)], got[small], want[small]
        if counted.size and not (rms := float(np.sqrt(np.mean(np.square(counted))))) <= part["rms"]:
            wrong = True
            said += f"; of numbers below {part['below']:.3g}: rms of differences {rms:.3g} ({part['rms']:.3g} allowed)"
        if part["cosine"] is not None:
            cosine = float(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))
            if not cosine >= part["cosine"]:
                wrong = True
                said += f"; of numbers below {part['below']:.3g}: cosine similarity {cosine:.6f}"
    print(f"{said}{f', DIFFERS in {int(bad.sum())} of {bad.size} elements' if wrong else ', ok'}")
    return int(wrong)
