"""From case files to pytest items. Nothing of a case file is executed here: that is the case host's work."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from . import expected
from .environments.packages import missing_packages
from .frameworks import FRAMEWORKS
from .registry import OPTIONAL
from .terms.case import DEFAULTS, TORCH, Tolerance
from .terms.cell import COLLECT, EAGER, CaseRef, Cell
from .terms.outcome import REQUIRED, Outcome, Stage, Verdict

if TYPE_CHECKING:
    from .session import SessionPlugin

_PLUGIN = "pytest_modelconform"


@dataclass(frozen=True)
class Declared:
    """A case as its file declares it. fault: why it can't run, or None. has: which of `OPTIONAL` it gives."""

    name: str
    fault: str | None = None
    tags: Sequence[str] = ()
    paper: str = ""
    requires: Sequence[str] = ()
    dtypes: Sequence[str] = ("float32",)
    has: Sequence[str] = ()
    tolerance: Tolerance = field(default_factory=Tolerance)
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    framework: str = TORCH

    def missing(self) -> str | None:
        """None if its packages and its framework are there, else a sentence that says what to do."""
        framework = FRAMEWORKS.get(self.framework)
        return missing_packages(self.requires) or (framework.unavailable() if framework else None)


@dataclass(frozen=True)
class Declaration:
    """What a case file came to: its cases, or the outcome that stands for the file."""

    cases: Sequence[Declared] = ()
    problem: Outcome | None = None


def is_case_file(path: Path) -> bool:
    """Whether a file is a case file: Python that imports pytest_modelconform at top level, by its syntax alone."""
    name = path.name
    if path.suffix != ".py" or name == "conftest.py" or name.startswith(("_", "test_")):
        return False
    try:
        text = path.read_bytes()
    except OSError:
        return False
    # Parsing is slow next to a search, and most files of a project are not ours.
    if _PLUGIN.encode() not in text:
        return False
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        # It names us and is broken: better an error at stage collect than a file that vanishes.
        return any(
            line.startswith((f"from {_PLUGIN}", f"import {_PLUGIN}"))
            for line in text.decode(errors="replace").splitlines()
        )
    return any(_imports_us(node) for node in tree.body)


def _imports_us(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.level == 0 and (node.module or "").partition(".")[0] == _PLUGIN
    return isinstance(node, ast.Import) and any(alias.name.partition(".")[0] == _PLUGIN for alias in node.names)


def static_cases(path: Path) -> list[Declared]:
    """The cases that a file assigns at top level, with literal `requires` and `dtypes`: known without running it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    found = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name):
            function = node.value.func
            name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            if name == "Case":
                variable = node.targets[0].id
                dtypes = [dtype for dtype in _literal_strings(node.value, "dtypes") if dtype in DEFAULTS]
                framework = next((k.value for k in node.value.keywords if k.arg == "framework"), None)
                found.append(
                    Declared(
                        path.stem if variable == "case" else variable,
                        requires=_literal_strings(node.value, "requires"),
                        dtypes=tuple(dict.fromkeys(dtypes)) or ("float32",),
                        has=[k.arg for k in node.value.keywords if k.arg in OPTIONAL] + _twins(node.value),
                        framework=str(framework.value) if isinstance(framework, ast.Constant) else TORCH,
                    )
                )
    return found


def _twins(call: ast.Call) -> list[str]:
    """What a literal dict in the field `twins` adds to what the case has."""
    given = next((k.value for k in call.keywords if k.arg == "twins"), None)
    keys = [key.value for key in given.keys if isinstance(key, ast.Constant)] if isinstance(given, ast.Dict) else []
    return [f"twin-{key}" for key in keys if isinstance(key, str)]


def _literal_strings(call: ast.Call, field: str) -> Sequence[str]:
    for keyword in call.keywords:
        if keyword.arg == field:
            try:
                value = ast.literal_eval(keyword.value)
            except ValueError:
                return ()
            return tuple(item for item in value if isinstance(item, str)) if isinstance(value, (tuple, list)) else ()
    return ()


class CaseFile(pytest.File):
    """A case file. Collecting it never raises: what is wrong with it is the verdict of an item."""

    def collect(self) -> Iterable[pytest.Item]:
        """The items of all cases in the file."""
        session = session_of(self.config)
        declaration = session.declare(self.path)
        relative = self.nodeid
        if declaration.problem is not None:
            cell = Cell(relative, self.path.stem, COLLECT, COLLECT)
            yield CellItem.from_parent(self, name=cell.name, cell=cell, settled=declaration.problem)
            return
        for declared in declaration.cases:
            yield from self._items(session, relative, declared)

    def _items(self, session: SessionPlugin, relative: str, declared: Declared) -> Iterator[pytest.Item]:
        if declared.fault:
            cell = Cell(relative, declared.name, COLLECT, COLLECT)
            settled = Outcome(Verdict.ERROR, Stage.COLLECT, declared.fault)
            yield CellItem.from_parent(self, name=cell.name, cell=cell, settled=settled)
            return
        missing = declared.missing()
        settled_all = (
            Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT, f"case {declared.name!r} {missing}") if missing else None
        )
        for cell in session.cells(relative, declared):
            item = CellItem.from_parent(
                self,
                name=cell.name,
                cell=cell,
                settled=settled_all,
                framework=declared.framework,
                tags=tuple(declared.tags),
            )
            for mark in (*markers(cell), *declared.tags):
                session.register_marker(mark)
                item.add_marker(mark)
            yield item


def markers(cell: Cell) -> list[str]:
    """Names of a cell's markers."""
    task = f"task_{cell.task}"
    if cell.is_check:
        return [EAGER, f"dtype_{cell.dtype}", task]
    return [
        f"format_{cell.format}".replace("-", "_"),
        f"runtime_{cell.runtime}".replace("-", "_"),
        f"device_{cell.device}".replace("-", "_"),
        f"dtype_{cell.dtype}",
        f"precision_{cell.precision}",
        task,
    ]


class CellFailed(Exception):
    """Ends a cell's test; what pytest shows of it is the outcome's text."""


class CellItem(pytest.Item):
    """One cell. Its outcome rides on the test report as a plain dict."""

    def __init__(
        self,
        *,
        cell: Cell,
        settled: Outcome | None = None,
        framework: str = TORCH,
        tags: tuple[str, ...] = (),
        **kwargs: Any,
    ) -> None:
        # Said rather than derived: pytest 9.2 tells an id that it parsed (--lf) from one that it put together.
        super().__init__(nodeid=cell.id, **kwargs)
        self.cell = cell
        self.settled = settled
        self.framework = framework
        self.tags = tags
        self.outcome: Outcome | None = None

    def runtest(self) -> None:
        """Run the cell, judge it by expected.toml, and end as pytest's outcomes have it."""
        session = session_of(self.config)
        entry, source = session.expectation(self.path, self.name)
        error: Exception | None = None
        try:
            outcome = self.settled or self._run(
                session, lambda o: entry is not None and bool(_judged(o, entry, source))
            )
        except Exception as raised:
            # A handler's, without worker processes, or a fault of ours: a debugger is to stop where this was raised.
            outcome, error = session.outcome_of_exception(raised), raised
        if outcome.verdict is Verdict.UNAVAILABLE and session.is_required(self.cell):
            outcome = replace(outcome, message=f"{outcome.message} {REQUIRED}")
            self.outcome = outcome
            raise CellFailed(outcome.message)
        outcome = session.judge(outcome, self)
        self.outcome = outcome
        if outcome.expected:
            if self.config.option.runxfail:
                raise CellFailed(outcome.message)
            # Not pytest.xfail(): that does nothing under --runxfail, and the cell would show as passed.
            raise pytest.xfail.Exception(outcome.notes[-1])
        if outcome.expected is False:
            raise CellFailed(outcome.message)
        if outcome.failed:
            raise error or CellFailed(outcome.message)
        if outcome.verdict is not Verdict.PASS:
            raise pytest.skip.Exception(outcome.message, _use_item_location=True)

    def _run(self, session: SessionPlugin, expects: Any) -> Outcome:
        ref = CaseRef(
            self.path,
            self.cell.file,
            self.cell.case,
            self.cell.dtype,
            task=self.cell.reference_task,
            framework=self.framework,
        )
        if self.cell.is_check:
            return session.pipeline.check(ref)
        return session.pipeline.run(ref, self.cell, expects)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The outcome's text rather than our own stack, for a failure that is a verdict."""
        if isinstance(excinfo.value, CellFailed) and self.outcome is not None:
            stage = f" at stage {self.outcome.stage.value}" if self.outcome.stage else ""
            return f"{self.outcome.verdict.value}{stage}: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the item comes from."""
        # A line number, since pytest needs one for the place of a skip.
        return self.path, 0, self.name


def _judged(outcome: Outcome, entry: expected.Entry, source: Path | None) -> bool:
    return bool(expected.judge(outcome, entry, source).expected)


class ExpectedFile(pytest.File):
    """An expected.toml beside case files."""

    def collect(self) -> Iterable[pytest.Item]:
        """One item that judges the file as a whole."""
        yield ExpectedItem.from_parent(self, name="entries")


class ExpectedItem(pytest.Item):
    """Fails for entries that match no cell that can exist, or that overlap; whatever cells were selected."""

    def runtest(self) -> None:
        """Judge the entries against all case files below the folder x all registered names."""
        session = session_of(self.config)
        expectations = session.expectations(self.path)
        if isinstance(expectations, expected.ExpectedError):
            raise CellFailed(str(expectations))
        cells = session.existing(self.path.parent)
        if session.settings.update_expected:
            # All else is settled at the end of this session.
            faults = expectations.overlaps(cells.ids)
        else:
            faults = expectations.check(cells.ids, cells.vague)
            if expectations.stale(cells.ids, cells.vague):
                command = session.update_command(self.path, self.name)
                faults.append(f"entries that match no cell: remove them, or run: {command}")
        if faults:
            raise CellFailed(f"{self.path}:\n" + "\n".join(faults))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The faults, without our stack."""
        if isinstance(excinfo.value, CellFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)


def session_of(config: pytest.Config) -> SessionPlugin:
    """Our plugin in a run."""
    plugin: SessionPlugin | None = config.pluginmanager.get_plugin("modelconform-session")
    assert plugin is not None
    return plugin
