"""Case files with hundreds of faults, in one run: each ends in a message that its author can act on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.fuzz.case_faults import KINDS, Fault
from tests.fuzz.drawing import drawn
from tests.support import runs

EACH = 14
# Of kinds that have many sides.
MORE = {"field of another type": 60, "raises": 20}
MOST_LINES = 12
# A frame of ours in a message: nobody who writes cases can act on it.
OURS = re.compile(r'File "[^"]*pytest_modelconform/')
STEMS = {kind: re.sub(r"\W", "_", kind) for kind in KINDS}


def faults() -> dict[str, tuple[str, Fault]]:
    """By path of the file: kind and fault."""
    found = {}
    for kind, strategy in KINDS.items():
        for number, fault in enumerate(drawn(strategy, MORE.get(kind, EACH))):
            found[fault.file or f"{STEMS[kind]}_{number}.py"] = (kind, fault)
    return found


@pytest.fixture
def seen(session_folder: Path, cache: Path) -> runs.Run:
    def make(folder: Path) -> runs.Run:
        runs.write(folder, {"plain.py": runs.PLAIN})
        for name, (_, fault) in faults().items():
            path = folder / "faulty" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(fault.text)
        # What is sound in these files is no fault: only what was found while collecting runs.
        return runs.run(folder, "-k", "collect or plain", "--tb=short", seconds=600)

    return runs.once(session_folder, "fuzz", make)


def test_there_are_many_faults_of_many_kinds() -> None:
    assert len(KINDS) >= 15
    assert len(faults()) >= 200


def test_the_run_survives_all_of_them(seen: runs.Run) -> None:
    assert seen.status == 1
    for text in ("INTERNALERROR", 'Traceback (most recent call last)\n  File "/'):
        assert text not in seen.stdout + seen.stderr
    end = seen.stdout.partition("compatibility matrix")[2]
    assert "\nlog: " in end
    assert seen.verdict("plain[torchscript_trace-fake_good_never-cpu]") == ("pass", None)


def test_each_says_where_it_is_and_what_is_wrong(seen: runs.Run) -> None:
    by_file: dict[str, list[Mapping[str, object]]] = {}
    for cell in seen.report["cells"]:
        by_file.setdefault(str(cell["id"]).partition("::" + str(cell["case"]))[0], []).append(cell)
    wrong = []
    for name, (kind, fault) in faults().items():
        cells = [cell for cell in by_file.get(f"faulty/{name}", []) if cell["stage"] == "collect"]
        if len(cells) != 1:
            wrong.append(f"{name} ({kind}): {len(cells)} cells instead of one, of {fault.text[-200:]!r}")
            continue
        message = str(cells[0]["message"])
        lines = message.splitlines()
        said = f"{cells[0]['id']}\n{message}"
        faulty = [
            *([f"{len(lines)} lines"] if len(lines) > MOST_LINES else []),
            *(["a line too long to be read"] if any(len(line) > 1000 for line in lines) else []),
            *(["no message"] if not message.strip() else []),
            *(["a frame of ours"] if OURS.search(message) else []),
            *([f"does not name the case {fault.case!r}"] if fault.case and repr(fault.case) not in message else []),
            *([f"does not name {word!r}" for word in fault.names if word not in said]),
        ]
        if faulty:
            wrong.append(f"{name} ({kind}): {'; '.join(faulty)}:\n    {message[:1500]}")
    assert not wrong, f"{len(wrong)} of {len(faults())}:\n" + "\n".join(wrong)
