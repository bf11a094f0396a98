"""`--modelconform-update-expected`: what pytest's hooks have to do with it. The rules are in `expected/`."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..expected import file as expected_file
from ..expected import text as toml_text
from ..expected.update import HEADER, Seen, Update, update
from ..terms.cell import Cell
from ..terms.outcome import Outcome, Verdict
from ..terms.records import from_record
from .existing import existing
from .items import CellItem, ExpectedItem
from .named import files_below, files_of, speaks_for_cases
from .run import Run


class UpdatePlugin:
    """Notes what the cells came to and, once all is done, rewrites the files; in xdist only the controller does.

    Raises pytest.UsageError for a file that can't be read or rewritten.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.config = run.config
        self._seen: dict[Path, dict[str, Seen]] = {}
        self._judged: set[Path] = set()
        self._interrupted = False
        self._said: list[str] = []
        if not run.is_xdist_worker:
            for path in self._files():
                try:
                    expected_file.load(path)
                    toml_text.split(_read(path))
                except expected_file.ExpectedError as error:
                    raise pytest.UsageError(f"--modelconform-update-expected: {_named(path, error)}") from error

    def _arguments(self) -> list[Path]:
        """The files and folders that the command line names, or that pytest takes where it names none."""
        start = self.config.invocation_params.dir
        return [Path(os.path.normpath(start / argument.partition("::")[0])) for argument in self.config.args]

    def _files(self) -> Iterator[Path]:
        """The files that this session may be about."""
        found: dict[Path, None] = {}
        for path in self._arguments():
            above = expected_file.find_file(path / "any.py" if path.is_dir() else path, self.config.rootpath)
            found.update(dict.fromkeys([above] if above else []))
            below = files_of(self.config, path, expected_file.NAME) if path.is_dir() else []
            found.update(dict.fromkeys(one for one in sorted(below) if speaks_for_cases(self.config, one)))
        return iter(found)

    # -- what was seen ---------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let a path ride on the report: a node id may be relative to more than one folder."""
        report = yield
        if isinstance(item, (CellItem, ExpectedItem)) and call.when == "call":
            report.modelconform_path = str(item.path)  # type: ignore[attr-defined]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what a cell came to."""
        path = getattr(report, "modelconform_path", None)
        if path is None or self.run.is_xdist_worker:
            return
        record = getattr(report, "modelconform", None)
        if record is None:
            self._judged.add(Path(path))
            return
        cell, outcome = from_record(record)
        self.note(Path(path), cell, outcome)

    def note(self, path: Path, cell: Cell, outcome: Outcome) -> None:
        """Note what a cell of a case file came to."""
        if not outcome.is_silent:
            seen = self._seen.setdefault(path, {})
            # What an old entry says of it is no part of its message.
            message = expected_file.unjudged(outcome).message
            seen[cell.name] = Seen(outcome.verdict, outcome.stage, message, outcome.strict)

    def pytest_keyboard_interrupt(self) -> None:
        """Ctrl-C, and all that ends a session early by its exception."""
        self._interrupted = True

    # -- what is made of it ----------------------------------------------------------------------------------------

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Rewrite the files, before the session's workers are ended."""
        if self.run.is_xdist_worker or self.config.option.collectonly:
            return
        ended = exitstatus not in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)
        if not ended or self._interrupted or session.shouldfail or session.shouldstop:
            self._said.append(f"{expected_file.NAME} was not changed: the session ended before all cells had run")
            return
        self._said, is_done = self.rewrite()
        if not is_done:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def rewrite(self) -> tuple[list[str], bool]:
        """Bring the files up to date with what was noted. What there is to say, and whether all could be written."""
        said: list[str] = []
        is_done = True
        for path, seen in self._by_file().items():
            try:
                said += self._rewrite(path, seen)
            except (OSError, ValueError) as error:
                said.append(f"not updated: {_named(path, error)}")
                is_done = False
        return said or ["no file needs an update"], is_done

    def _by_file(self) -> dict[Path, dict[Path, dict[str, Seen]]]:
        """What was seen, by the expected.toml that speaks for it: one that is, or that is to be made."""
        files: dict[Path, dict[Path, dict[str, Seen]]] = {path: {} for path in sorted(self._judged)}
        for case_file, seen in sorted(self._seen.items()):
            source = (
                expected_file.find_file(case_file, self.config.rootpath) or self._folder(case_file) / expected_file.NAME
            )
            files.setdefault(source, {})[case_file] = seen
        return files

    def _folder(self, case_file: Path) -> Path:
        """Where a new file belongs: the topmost folder of the command line above a case file, below the root."""
        named = [path for path in self._arguments() if path in case_file.parents and path.is_dir()]
        folder = min(named, key=lambda path: len(path.parts), default=case_file.parent)
        root = self.config.rootpath
        return root if folder in root.parents and root in case_file.parents else folder

    def _rewrite(self, path: Path, seen: dict[Path, dict[str, Seen]]) -> list[str]:
        """Bring one file up to date. Returns what there is to say about it."""
        is_new = not path.exists()
        folder = path.parent
        told = {
            f"{file.relative_to(folder).as_posix()}::{name}": what
            for file, cells in seen.items()
            for name, what in cells.items()
        }
        if is_new and not any(what.failed for what in told.values()):
            return []
        cells = existing(self.run.machinery, folder, files_below(self.run, folder))
        for file in seen:
            # What could be collected does not fail there any more.
            sound = cells.sound.get(file.relative_to(folder).as_posix(), ())
            told = {**{cell: Seen(Verdict.PASS) for cell in sound}, **told}
        text = HEADER if is_new else _read(path)
        # Of a device that nobody asked for this machine may not even have one.
        devices, precisions = self.run.machinery.devices, self.run.machinery.precisions
        found = ((name, self.run.machinery.cell_of(name)) for name in cells.ids)
        aside = [
            name
            for name, cell in found
            if cell and not cell.is_check and not (cell.device in devices and cell.precision in precisions)
        ]
        made = update(text, path, cells.ids, told, cells.vague, aside)
        if made.text != text:
            _write(path, made.text)
        return _summary(path, made, made.text != text, is_new)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what was written."""
        if self._said:
            terminalreporter.section(expected_file.NAME)
            for line in self._said:
                terminalreporter.line(line)


def _summary(path: Path, made: Update, is_written: bool, is_new: bool) -> list[str]:
    lines = []
    if is_written:
        counts = f"{made.added} added, {made.changed} changed, {made.removed} removed"
        lines.append(f"{path}: {counts}{' (a new file)' if is_new else ''}")
    if made.todo:
        are = "entry has" if made.todo == 1 else "entries have"
        said = f'{made.todo} {are} the reason "{expected_file.TODO}". Say why the cells fail: until then runs fail.'
        lines.append(f"{path}: {said}")
    return lines


def _named(path: Path, error: Exception) -> str:
    """An error's text, with the file's name before it where it has none."""
    text = str(error)
    return text if str(path) in text else f"{path}: {text}"


def _read(path: Path) -> str:
    """A file's text with its line ends as they are."""
    return path.read_bytes().decode("utf-8")


def _write(path: Path, text: str) -> None:
    """Replace a file in one step; a link stays one, and the mode is the old one's."""
    target = path.resolve()
    temporary = target.with_name(f".{target.name}-{os.getpid()}")
    try:
        with temporary.open("xb") as file:
            file.write(text.encode("utf-8"))
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
