"""Files that are collected by their syntax, and what their import has to give."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform import environments
from pytest_modelconform.cells.case_files import Declaration, Declared, static_cases
from pytest_modelconform.cells.complete import differs, environment_of, unclear
from pytest_modelconform.cells.machinery import Machinery, Place
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.settings import Settings
from pytest_modelconform.environments import EnvironmentFault
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

HEAD = """
import keras
from pytest_modelconform import Case

def build(): return keras.Sequential([])
"""
PLAIN = "net = Case(model=build, inputs={}, framework='keras', dtypes=('float16', 'float32'), tags=('a',), paper='p')\n"


def test_the_syntax_of_a_plain_file_tells_all(tmp_path: Path) -> None:
    path = tmp_path / "nets.py"
    path.write_text(HEAD + PLAIN + "case = Case(model=build, inputs=one())\n")
    assert unclear(path) is None
    found = static_cases(path)
    assert found == [
        Declared("net", framework="keras", dtypes=("float16", "float32"), tags=("a",), paper="p", has=[]),
        Declared("nets", has=[]),
    ]
    environment = environment_of(found)
    assert environment is not None
    assert environment.name == "tensorflow-cases"
    assert environment_of([Declared("net"), Declared("other", framework="onnx")]) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("for i in range(3): globals()[f'n{i}'] = 1\n", "line 7 uses globals"),
        ("def more(): return Case(model=build, inputs={})\nother = more()\n", "line 7 uses Case other than"),
        ("if True:\n    x = Case(model=build, inputs={})\n", "line 8 uses Case other than"),
        ("x = [Case(model=build, inputs={})]\n", "line 7 uses Case other than"),
        ("x = y = Case(model=build, inputs={})\n", "line 7 assigns one Case to several variables"),
        ("from packages import *\n", "line 7 imports more"),
        ("from pytest_modelconform import Case as C\n", "line 7 imports more"),
        ("def later():\n    from helpers.more import net_of\n", "line 8 imports a module of the project"),
        ("import own\n", "line 7 imports a module of the project"),
        ("from . import own\n", "line 7 imports a module of the project"),
        ("import jax as net\n", "line 7 imports more"),
        ("from dataclasses import replace\nother = replace(net, seed=1)\n", "line 8 uses the case 'net'"),
        ("for net in (): pass\n", "'net' is assigned more than once"),
        ("def net(): pass\n", "line 7 defines 'net'"),
        ("import sys\nsys.modules[__name__].x = 1\n", "line 8 uses modules"),
        ("nets = Case(model=build, inputs={})\ncase = Case(model=build, inputs={})\n", "both name the case 'nets'"),
        ("x = Case(build, inputs={})\n", "line 7: a Case takes its fields by name"),
        ("x = Case(**COMMON)\n", "line 7: a Case takes its fields by name"),
        ("x = Case(model=build, input={})\n", "line 7: Case has no field 'input'"),
        ("x = Case(model=build, inputs={}, dtypes=DTYPES)\n", "line 7: 'dtypes' is not written out"),
        ("x = Case(model=build, inputs={}, dtypes=('float12',))\n", "line 7: 'dtypes' is not written out"),
        ("x = Case(model=build, inputs={}, tags=('skip',))\n", "line 7: 'tags' is not written out"),
        ("x = Case(model=build, inputs={}, requires='a')\n", "line 7: 'requires' is not written out"),
        ("x = Case(model=build, inputs={}, framework=F)\n", "line 7: 'framework' is not written out"),
        ("x = Case(model=build, inputs={}, twins=TWINS)\n", "line 7: the keys of 'twins'"),
        ("x = Case(model=build, inputs={}, train=None)\n", "line 7: 'train' is not written out"),
    ],
)
def test_what_the_syntax_may_not_tell_is_imported(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "nets.py"
    path.write_text(HEAD + PLAIN + text)
    (tmp_path / "own.py").touch()
    (tmp_path / "root" / "helpers").mkdir(parents=True)
    (tmp_path / "root" / "helpers" / "__init__.py").touch()
    assert says in (unclear(path, [str(tmp_path / "root")]) or "")


def test_the_import_is_held_against_the_syntax() -> None:
    one, two = Declared("one", dtypes=("float32", "float16")), Declared("two")
    assert differs([one, two], [two, replace(one, dtypes=("float16", "float32"))]) is None
    # Its fields are then those of no case.
    assert differs([one], [replace(one, fault="no", dtypes=())]) is None
    assert differs([one], [one, two]) == "the cases one, two, where its text says one"
    assert differs([one, two], [two]) == "the cases two, where its text says one, two"
    said = "the case 'two' with the tags ['a'], where its text says []"
    assert differs([one, two], [one, replace(two, tags=("a",))]) == said


class Counting(Machinery):
    """imported: what the case host answers; asked: how often."""

    imported: Declaration
    asked = 0

    def _import(self, path: Path, static: Any) -> Declaration:
        self.asked += 1
        return self.imported


@pytest.fixture
def machinery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counting:
    monkeypatch.setattr(environments, "unavailable", lambda environment: None)
    registry = Registry()
    register_built_in(registry)
    nothing: dict[str, Any] = dict.fromkeys((field.name for field in fields(Settings)), ())
    made = Counting(registry, Settings(**{**nothing, "cache": tmp_path / "cache"}), Place(tmp_path, [], print))
    made.imported = Declaration()
    return made


def test_nothing_is_imported_until_a_cell_runs(tmp_path: Path, machinery: Counting) -> None:
    path = tmp_path / "nets.py"
    path.write_text(HEAD + PLAIN)
    found = machinery.declare(path)
    assert ([case.name for case in found.cases], found.by_syntax, machinery.asked) == (["net"], True, 0)
    machinery.imported = Declaration(found.cases)
    assert machinery.fault_of(path, "net") is None
    assert machinery.fault_of(path, "net") is None
    assert machinery.asked == 1


@pytest.mark.parametrize(
    ("problem", "fault", "more", "says"),
    [
        ("nets.py: line 3: no keras", None, (), "nets.py: line 3: no keras"),
        (None, "case 'net', field 'seed': no", (), "case 'net', field 'seed': no"),
        (None, None, (Declared("x"),), "nets.py: importing it gives the cases net, x, where its text says net: assign"),
    ],
)
def test_a_fault_is_told_by_the_cells(
    tmp_path: Path, machinery: Counting, problem: str | None, fault: str | None, more: tuple[Declared, ...], says: str
) -> None:
    path = tmp_path / "nets.py"
    path.write_text(HEAD + PLAIN)
    [net] = machinery.declare(path).cases
    whole = Outcome(Verdict.ERROR, Stage.COLLECT, problem) if problem else None
    machinery.imported = Declaration([replace(net, fault=fault), *more], whole)
    outcome = machinery.fault_of(path, "net")
    assert outcome is not None
    assert (outcome.verdict, outcome.stage) == (Verdict.ERROR, Stage.COLLECT)
    assert outcome.message.startswith(says)


def test_where_the_syntax_does_not_tell_a_line_says_why(
    tmp_path: Path, machinery: Counting, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nets.py"
    path.write_text(HEAD + PLAIN + "x = Case(**COMMON)\n")
    assert not machinery.declare(path).by_syntax
    assert machinery.asked == 1
    said = "nets.py: collecting it needs the environment tensorflow-cases, since line 7: a Case takes its fields by"
    assert capsys.readouterr().out.startswith(said)


def test_files_of_the_main_environment_are_imported(tmp_path: Path, machinery: Counting) -> None:
    path = tmp_path / "nets.py"
    path.write_text(HEAD.replace("keras", "torch") + "net = Case(model=build, inputs={})\n")
    assert not machinery.declare(path).by_syntax
    assert (machinery.asked, machinery.fault_of(path, "net")) == (1, None)


def test_an_environment_that_cannot_be_made_is_no_fault_of_the_file(
    tmp_path: Path, machinery: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "nets.py"
    path.write_text(HEAD + PLAIN)

    def refuse(*_: Any) -> str:
        raise EnvironmentFault("no network")

    monkeypatch.setattr(Counting, "_import", Machinery._import)
    monkeypatch.setattr(environments, "python", refuse)
    assert machinery.declare(path).problem is None
    with pytest.raises(EnvironmentFault, match="no network"):
        machinery.fault_of(path, "net")
