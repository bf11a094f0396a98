"""Draw what `benchmarks.detection` measured: clean reruns and mutants, and the limits between them.

pip install matplotlib
python -m benchmarks.plot_tolerance detection.json docs/tolerance.png
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt

from pytest_modelconform.terms.case import DEFAULTS

from .faults import report
from .faults.clean import KNOWN_FAULT, NOT_COMPARABLE
from .faults.judge import Record

# Of these, the gentlest of all that are made: the others are far to the right.
GENTLE = (
    "all weights in float16",
    "all weights in bfloat16",
    "float16 arithmetic",
    "bfloat16 arithmetic",
    "TF32 arithmetic",
    "weight in float16",
    "weight in bfloat16",
    "weight in int8",
    "weight × 1.01",
    "largest element × 1.1",
    "input in float16",
    "output rounded to float16",
    "all GELU by the other formula",
    "GELU by the other formula",
    "layer norm's epsilon × 0.1",
    "layer norm's epsilon × 10",
    "group norm's epsilon × 0.1",
    "group norm's epsilon × 10",
    "written-out epsilon × 0.1",
    "written-out epsilon × 10",
    "all epsilons × 0.1",
    "batch norm's epsilon 1e-3",
    "output × 1.001",
    "one element off by 1 % of rms",
)
CLEAN, FAULT, EQUIVALENT = "#0072b2", "#d55e00", "#999999"  # told apart by the colour-blind, too


def rows(mutants: Sequence[Record], reruns: Sequence[Record]) -> list[tuple[str, str, list[Record]]]:
    """(label, colour, records) from the top."""
    clean = [r for r in reruns if r.verdict not in (NOT_COMPARABLE, KNOWN_FAULT)]
    found = [(f"clean: {name}", CLEAN, [r for r in clean if r.runtime == name]) for name in _names(clean, "runtime")]
    found.append(("known faults of runtimes", FAULT, [r for r in reruns if r.verdict == KNOWN_FAULT]))
    for kind in GENTLE:
        mine = [m for m in mutants if m.kind == kind]
        if mine:
            found.append((kind, FAULT, mine))
    found.append(("all other mutants", FAULT, [m for m in mutants if m.kind not in GENTLE]))
    return found


def _names(records: Sequence[Record], field: str) -> list[str]:
    return sorted({str(getattr(record, field)) for record in records})


def draw(source: Path, target: Path) -> None:
    mutants, reruns, about = report.from_json(source)
    bits_lost, worst = DEFAULTS["float32"]
    shown = rows(mutants, reruns)
    figure, panels = plt.subplots(1, 2, figsize=(13, 0.27 * len(shown) + 1.5), sharey=True)
    for panel, field, limit, label in (
        (panels[0], "judged", bits_lost, "loss (bits); in tensors below 16 elements less 1"),
        (panels[1], "worst", worst, "worst element (log2)"),
    ):
        for y, (_, colour, records) in enumerate(shown):
            for equivalent in (False, True):
                values = [
                    min(max(float(v), -4.0), 24.0)
                    for r in records
                    if r.equivalent is equivalent and (v := getattr(r, field)) is not None
                ]
                panel.plot(values, [y] * len(values), "|", color=EQUIVALENT if equivalent else colour, alpha=0.6)
        panel.axvline(limit, color="black", linewidth=1)
        panel.set_xlabel(f"{label}; limit {limit:g}")
        panel.set_xlim(-4.5, 24.5)
        panel.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(shown)), [label for label, _, _ in shown])
    panels[0].invert_yaxis()
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    figure.suptitle(
        f"{len(reruns)} clean reruns (blue), {len(mutants)} mutants (orange; grey: equivalent)\n{versions}", fontsize=9
    )
    figure.tight_layout()
    figure.savefig(target, dpi=80)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
