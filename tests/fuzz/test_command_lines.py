"""Command lines that make no sense: each ends in a short message that names what is wrong, and in a status for it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from pytest_modelconform.commands import cli
from tests.fuzz.command_lines import PYTEST, SUBCOMMANDS, Line
from tests.fuzz.drawing import drawn
from tests.fuzz.model_faults import KINDS as MODEL_KINDS
from tests.fuzz.test_case_files import MOST_LINES, faults
from tests.fuzz.test_models import EACH as MODELS
from tests.support import runs

EACH = 6
# A slip in a name is one like another to what looks names up, and these lines take seconds each.
SLIPS = {"no environment", "no runtime", "no format", "no case", "doctor of no name"}
FEW = 2
NO_TRACE = ("Traceback", "INTERNALERROR", "please report it", 'File "')


@pytest.fixture
def folder(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a case that is in the cache, a log, and files that are neither."""
    for name in ("plain.py", "pytest.ini"):
        shutil.copy(project / name, tmp_path / name)
    log = next((project / ".pytest_cache" / "d" / "modelconform").glob("*.jsonl")).read_text()
    files = {"run.jsonl": log, "cut.jsonl": log[: len(log) // 2].partition("\n")[2], "words": "neither\n", "empty": ""}
    files |= {"list.json": "[1, 2]\n", "old.jsonl": '{"kind": "header", "schema": 0}\n', "none.py": "x = 1\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "folder").mkdir()
    (tmp_path / "logs").mkdir()
    shutil.copy(tmp_path / "run.jsonl", tmp_path / "logs" / "run.jsonl")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines_of(kind: str) -> list[Line]:
    """Of a kind of subcommands."""
    return drawn(SUBCOMMANDS[kind], FEW if kind in SLIPS else EACH)


def faults_of(line: Line, status: int, said: str) -> str:
    """What is wrong with how a line ended; "" if nothing is."""
    lines = [text for text in said.splitlines() if text.strip()]
    faulty = [
        *([f"status {status}"] if status not in (1, 2, 4) else []),
        *([f"{len(lines)} lines"] if len(lines) > MOST_LINES else []),
        *(["says nothing"] if not lines else []),
        *([f"does not name {line.names!r}"] if line.names not in said else []),
        *(f"has {trace!r}" for trace in NO_TRACE if trace in said),
    ]
    return f"{' '.join(line.words)[:200]}: {'; '.join(faulty)}:\n    {said[:1500]}" if faulty else ""


@pytest.mark.parametrize("kind", SUBCOMMANDS)
def test_a_subcommand(kind: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wrong = []
    for line in lines_of(kind):
        try:
            status = cli.main(line.words)
        except SystemExit as ended:
            status = int(ended.code or 0)
        said = capfd.readouterr()
        wrong.append(faults_of(line, status, said.out + said.err))
    wrong = [text for text in wrong if text]
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)


@pytest.mark.parametrize("kind", PYTEST)
def test_pytest(kind: str, folder: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    wrong = []
    for line in drawn(PYTEST[kind], EACH):
        options = ["--modelconform", "--rootdir", str(folder), "-p", "no:cacheprovider", "--no-header", "-q"]
        found = pytester.runpytest_inprocess(*options, *runs.OTHERS_PLUGINS, *line.words)
        said = re.sub(r"\n\s*\n", "\n", found.stdout.str() + found.stderr.str())
        wrong.append(faults_of(line, int(found.ret), said))
    wrong = [text for text in wrong if text]
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)


def test_all_faults_together_are_many() -> None:
    found = len(faults()) + sum(len(lines_of(kind)) for kind in SUBCOMMANDS)
    found += sum(len(drawn(kind, EACH)) for kind in PYTEST.values())
    found += sum(len(drawn(kind, MODELS)) for kind in MODEL_KINDS.values())
    assert found >= 500
