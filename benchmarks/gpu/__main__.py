"""Run the CUDA columns of ten cases on a GPU that is at hand for minutes, and write docs/gpu.md's figures."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import pack

_DOCS = Path("docs/gpu.md")


def main(words: Sequence[str] | None = None) -> int:
    """Exit status: 0 if all steps are complete, 1 if some are left for the next call, 2 for a wrong command line."""
    given = _arguments(words)
    if given.pack:
        size = pack.pack(given.pack)
        print(f"{pack.FOLDER}: {size / 2**20:.1f} MiB for Python {given.pack}")
        return 0
    if missing := pack.use():
        print(f"from {pack.FOLDER}: {', '.join(missing)}")
    # What these import may have been packed.
    from . import page, steps
    from .kept import Kept

    kept = Kept(given.folder)
    docs = given.docs or (_DOCS if given.device == "cuda" else given.folder / "gpu.md")

    def write() -> None:
        text = docs.read_text() if docs.exists() else f"{page.BEGIN}\n{page.END}\n"
        docs.write_text(page.put(text, page.measured(kept)))

    if not given.write:
        cases = [path for name in (given.cases or steps.CASES) if (path := given.root / name).exists()]
        if not cases:
            print(f".ci/gpu: none of the cases is in {given.root}", file=sys.stderr)
            return 2
        plan = steps.Plan(
            device=given.device,
            cases=cases,
            formats=given.formats.split(",") if given.formats else steps.FORMATS,
            runtimes=given.runtimes.split(",") if given.runtimes else steps.RUNTIMES,
            cache=given.cache or given.folder / "cache",
            until=time.monotonic() + 60 * given.minutes,
        )
        steps.all_of(plan, kept, write)
    write()
    left = [name for name in steps.NAMES if not kept.is_complete(name)]
    print(f"{docs}: left for the next call: {', '.join(left)}" if left else f"{docs}: all is measured")
    return int(bool(left))


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=".ci/gpu", description=__doc__)
    parser.add_argument("cases", nargs="*", help="case files below --root (default: ten)")
    parser.add_argument("--root", type=Path, default=Path("cases"), help="folder of the case files (cases)")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu: try the steps without a GPU")
    parser.add_argument("--minutes", type=float, default=8.0, help="end before so many are over (8)")
    parser.add_argument("--folder", type=Path, default=Path(".gpu"), help="for results and logs (.gpu)")
    parser.add_argument("--cache", type=Path, help="the plugin's cache, which is emptied (default: in --folder)")
    parser.add_argument("--docs", type=Path, help="page to write into (docs/gpu.md; with --device cpu one in --folder)")
    parser.add_argument("--formats", help="separated by commas (default: those that have CUDA columns)")
    parser.add_argument("--runtimes", help="separated by commas (default: those that have CUDA columns)")
    parser.add_argument("--write", action="store_true", help="only write the page, from what is in --folder")
    parser.add_argument("--pack", metavar="PYTHON", help='fetch what a machine with that Python ("3.12") may lack')
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
