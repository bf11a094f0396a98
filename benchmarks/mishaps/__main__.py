"""Let mishaps happen to runs, and say what became of them.

    python -m benchmarks.mishaps --kinds kills,controller --numbers 1-100 [--results mishaps.jsonl] [--minutes 60]

A number draws the same mishap each time; what the machine does meanwhile makes its moments fall elsewhere. Each is
followed by a run that nothing happens to, with the same cache. Results are added to a file as they come, and what is in
it is not done again. The disks need root. Nothing outside of `--folder` is written to.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .drawn import Came, Draw, NotHere
from .kinds import KINDS
from .project import FLAVOURS
from .sandbox import Sandbox


def main(words: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 1 if something was wrong."""
    given = _arguments(words)
    # Disks are unmounted, and what runs is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    first, _, last = given.numbers.partition("-")
    numbers = range(int(first), int(last or first) + 1)
    done = _done(given.results)
    seconds = _prepared(given.folder)
    until = time.monotonic() + 60 * given.minutes
    for number in numbers:
        for kind in given.kinds:
            if (kind, number) in done:
                continue
            if time.monotonic() > until:
                print(f"the time ended before {kind} {number}")
                return _report(given.results)
            done.add((kind, number))
            begin = time.monotonic()
            try:
                came = KINDS[kind](Draw(kind, number, given.folder / "base", seconds))
            except NotHere as missing:
                print(f"{kind}: {missing}")
                continue
            except Exception:
                came = Came(faults=[traceback.format_exc()])
            took = round(time.monotonic() - begin, 1)
            entry = {"kind": kind, "number": number, "seconds": took, **asdict(came)}
            with given.results.open("a") as file:
                file.write(json.dumps(entry) + "\n")
            print(_line(entry), flush=True)
    return _report(given.results)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mishaps", description=__doc__.partition("\n")[0])
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=list(KINDS), help=", ".join(KINDS))
    parser.add_argument("--numbers", default="1-10", metavar="FIRST-LAST", help="which mishaps of each kind")
    parser.add_argument(
        "--folder", type=lambda text: Path(text).resolve(), required=True, help="where all of it happens"
    )
    parser.add_argument("--results", type=Path, default=Path("mishaps.jsonl"), help="what they came to, a line each")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin none after that")
    given = parser.parse_args(words)
    if unknown := [kind for kind in given.kinds if kind not in KINDS]:
        parser.error(f"no kind {unknown[0]!r}; there are: {', '.join(KINDS)}")
    return given


def _prepared(folder: Path) -> dict[str, float]:
    """Seconds that a run of each flavour takes here, after one that has compiled and installed what all need."""
    note = folder / "seconds.json"
    if note.exists():
        found: dict[str, float] = json.loads(note.read_text())
        return found
    base = folder / "base"
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    seconds = {}
    for name, flavour in FLAVOURS.items():
        for step in ("prepare", "measure"):
            box = Sandbox(base, flavour, f"{step}-{name}")
            if step == "prepare":  # in the base itself
                box.cache = base
            try:
                begin = time.monotonic()
                if faults := box.clean("run"):
                    raise SystemExit("\n".join([*faults, box.output("run")[-3000:]]))
                seconds[name] = time.monotonic() - begin
            finally:
                box.remove()
        print(f"{name}: {seconds[name]:.1f} s", flush=True)
    note.write_text(json.dumps(seconds))
    return seconds


def _done(results: Path) -> set[tuple[str, int]]:
    return {(entry["kind"], entry["number"]) for entry in _entries(results)}


def _entries(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def _line(entry: dict[str, Any]) -> str:
    text = f"{entry['kind']} {entry['number']} ({entry['seconds']} s): {' '.join(entry['done'])}; {entry['verdicts']}"
    return "\n    ".join([text, *(f"WRONG: {fault}" for fault in entry["faults"])])


def _report(results: Path) -> int:
    """A table by kind, and what was killed."""
    by_kind: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    killed: Counter[str] = Counter()
    for entry in _entries(results):
        by_kind[entry["kind"]].append(entry)
        if entry["kind"] in ("kills", "cluster"):
            killed.update(
                done.partition(" s: ")[2] for done in entry["done"] if " s: " in done and "nobody" not in done
            )
    print("\n| mishap | times | right | wrong |\n| --- | --- | --- | --- |")
    for kind in KINDS:
        if found := by_kind.get(kind):
            wrong = sum(bool(entry["faults"]) for entry in found)
            print(f"| {kind} | {len(found)} | {len(found) - wrong} | {wrong} |")
    print("\nkilled: " + ", ".join(f"{count} {role}" for role, count in killed.most_common()))
    return int(any(entry["faults"] for found in by_kind.values() for entry in found))


if __name__ == "__main__":
    sys.exit(main())
