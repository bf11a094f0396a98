"""Cases that a file makes without giving them a name are told, and not left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.workers.host import cases
from pytest_modelconform.workers.loop import WorkerError
from tests.support import runs

MAKE = "lambda: Net(), inputs=inputs)"


def found(folder: Path, stem: str, text: str) -> list[str]:
    path = runs.case_file(folder, stem, runs.CASE + text)
    return list(cases.find(cases.import_file(str(path), path.name), str(path)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"for n in (1, 2, 3):\n    net = Case(model={MAKE}\n", "2 cases are made that have no variable"),
        (f"one = Case(model={MAKE}\nmore = [Case(model={MAKE}]\n", "a case is made that has no variable"),
        (f"def make():\n    return Case(model={MAKE}\n\none = make()\nmake()\n", "a case is made that has no variable"),
    ],
    ids=["loop", "list", "dropped"],
)
def test_a_case_without_a_name_is_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(WorkerError, match=rf"^line \d+: {message} at module level, and would not be tested"):
        found(tmp_path, "nameless", text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f'for n in (1, 2):\n    globals()[f"net_{{n}}"] = Case(model={MAKE}\n', ["net_1", "net_2"]),
        (f'_nets = {{"a": [Case(model={MAKE}]}}\nnet = _nets["a"][0]\nother = Case(model={MAKE}\n', ["net", "other"]),
        (f"import dataclasses\nnet = dataclasses.replace(Case(model={MAKE}, seed=1)\n", ["net"]),
        ("from shared_nets import net as one\n", ["one"]),
    ],
    ids=["globals", "hidden", "replaced", "imported"],
)
def test_cases_with_names_are_found(tmp_path: Path, text: str, names: list[str]) -> None:
    (tmp_path / "shared_nets.py").write_text(f"{runs.CASE}net = Case(model={MAKE}\nrest = [Case(model={MAKE}]\n")
    assert found(tmp_path, "named", text) == names
