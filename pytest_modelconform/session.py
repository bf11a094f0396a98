"""What a run with `--modelconform` does: pytest's hooks on one side, registry, pipeline and log on the other."""

from __future__ import annotations

import functools
import os
import re
import shlex
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from . import collect, environment, expected, expected_cells, options, progress
from .cache import fingerprint
from .cache.fingerprint import hash_file, hash_of
from .cache.store import Cache, CacheRefused
from .collect import CaseFile, CellItem, Declaration, Declared, ExpectedFile
from .frameworks import FRAMEWORKS
from .pipeline import Pipeline
from .pool import Pool, for_session
from .registry import EVERYTHING, Registry
from .report import json_report, junit, log, matrix, terminal
from .runtimes.process import WorkerCrashed, WorkerProblem, WorkerRefused, WorkerTimeout
from .terms import devices, tolerances
from .terms.case import DEFAULTS, TORCH, Tolerance
from .terms.cell import COLLECT, EAGER, FAST, FULL, INFERENCE, PRECISIONS, TASKS, TRAINING, Cell
from .terms.outcome import STYLES, Outcome, Stage, Verdict
from .terms.records import from_record, to_record
from .workers.loop import WorkerError

_ITEM_ID = re.compile(r"(?P<file>.+)::(?P<case>[^:\[\]]+)\[(?P<rest>[^\[\]]+)\]")
_KEPT_LOGS = 20


class SessionPlugin:
    """The hooks of a run that is ours. On an xdist controller it only schedules and reports."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.settings = options.settings(config)
        self.registry = Registry()
        try:
            config.hook.pytest_modelconform_register(registry=self.registry)
            self.formats = self.registry.select_formats(self.settings.formats)
            self.runtimes = self.registry.select_runtimes(self.settings.runtimes)
            self.devices = self.registry.select_devices(self.settings.devices)
            self.precisions = self.registry.select_precisions(self.settings.precisions)
            for name in self.settings.require:
                if name not in self.registry.formats:
                    self.registry.runtime(name)
            self.cache = Cache(self.settings.cache)
        except (ValueError, CacheRefused) as error:
            raise pytest.UsageError(f"modelconform: {error}") from error
        if all(len(self.cells("", Declared("", has=EVERYTHING, framework=name))) == 1 for name in FRAMEWORKS):
            raise pytest.UsageError(
                f"modelconform: none of the runtimes {', '.join(self.runtimes)} loads any of the formats "
                f"{', '.join(self.formats)} on {', '.join(self.devices)} in {', '.join(self.precisions)} precision"
            )
        self._declared: dict[Path, Declaration] = {}
        self._expectations: dict[Path, expected.Expectations | expected.ExpectedError] = {}
        self._collected: dict[str, Cell] = {}
        self._seconds: dict[str, float] = {}
        self._recorded: set[str] = set()
        # All cells of a sharded run, each with the index of its shard.
        self.sharded: dict[Cell, int] = {}
        self._log: log.LogWriter | None = None

    # -- machinery, made when first needed -------------------------------------------------------------------------

    @property
    def is_xdist_worker(self) -> bool:
        """Whether this process runs items for another one."""
        return hasattr(self.config, "workerinput")

    @functools.cached_property
    def pool(self) -> Pool:
        """The workers of this process."""
        return for_session(self.config, self.registry, self.settings, self.progress)

    @functools.cached_property
    def pipeline(self) -> Pipeline:
        """What runs cells."""
        return Pipeline(
            self.registry,
            self.cache,
            self.pool,
            self.settings.timeout,
            self.settings.threads,
            self.settings.threads_asked,
        )

    def progress(self, text: str) -> None:
        """Show a line about work that takes long and happens once."""
        progress.show(self.config, text)

    # -- what items ask --------------------------------------------------------------------------------------------

    def cells(self, file: str, case: Declared) -> list[Cell]:
        """The cells of a case that were asked for, dtype by dtype, each with its model checks first."""
        found = []
        for dtype in case.dtypes:
            asked = (self.formats, self.runtimes, self.devices, dtype, self.precisions, case.has, case.framework)
            found += _with_checks(file, case.name, dtype, self.registry.cells(file, case.name, *asked))
        return found

    def all_cells(self, file: str, case: Declared) -> list[Cell]:
        """The cells of a case that can exist, whatever was asked for."""
        registry = self.registry
        found = [Cell(file, case.name, COLLECT, COLLECT)]
        for dtype in case.dtypes:
            every = (registry.formats, registry.runtimes, registry.devices, dtype, PRECISIONS, case.has, case.framework)
            found += _with_checks(file, case.name, dtype, registry.cells(file, case.name, *every))
        return found

    def existing(self, folder: Path) -> expected_cells.Existing:
        """The cells that can exist below a folder, whatever was asked for."""
        return expected_cells.existing(self, folder)

    def register_marker(self, name: str) -> None:
        """Let `--strict-markers` know a marker."""
        self.config.addinivalue_line("markers", f"{name}: cells of pytest-modelconform")

    def is_required(self, cell: Cell) -> bool:
        """Whether --modelconform-require names a cell's format or runtime."""
        return bool({cell.format, cell.runtime} & set(self.settings.require))

    def expectation(self, case_file: Path, item_name: str) -> tuple[expected.Entry | None, Path | None]:
        """The entry for a cell, and the file that it is in."""
        source = expected.find_file(case_file, self.config.rootpath)
        if source is None:
            return None, None
        found = self.expectations(source)
        # A faulty file has an item of its own that fails; no cell is excused by it.
        if isinstance(found, expected.ExpectedError):
            return None, source
        return found.find(found.relative(case_file, item_name)), source

    def judge(self, outcome: Outcome, item: CellItem) -> Outcome:
        """The outcome as expected.toml has it, or will have it once this session has updated it."""
        entry, source = self.expectation(item.path, item.name)
        if self.settings.update_expected:
            return expected.settle(outcome, entry, source)
        return expected.judge(outcome, entry, source, self.update_command(item.path, item.name, item.cell))

    def update_command(self, path: Path, item_name: str, cell: Cell | None = None) -> str:
        """What updates expected.toml for one item, to be copied into a shell in the folder that this run began in."""
        words = ["pytest", "--modelconform", "--modelconform-update-expected"]
        if cell is not None and not cell.is_check:
            # A cell that only the command line asked for is not there without it.
            named = {"formats": cell.format, "runtimes": cell.runtime, "devices": cell.device}
            named["precisions"] = cell.precision
            given = [name for name in named if self.config.getoption(f"--modelconform-{name}") is not None]
            words += [f"--modelconform-{name}={named[name]}" for name in given]
        file = Path(os.path.relpath(path, self.config.invocation_params.dir)).as_posix()
        return shlex.join([*words, f"{file}::{item_name}"])

    def _rerun_command(self) -> str:
        """What a rerun of a cell begins with: without these options some cells are not there."""
        options = [f"--modelconform-{name}" for name in ("formats", "runtimes", "devices", "precisions")]
        given = {option: self.config.getoption(option) for option in options}
        return shlex.join(["pytest", "--modelconform", *(f"{k}={v}" for k, v in given.items() if v is not None)])

    def expectations(self, path: Path) -> expected.Expectations | expected.ExpectedError:
        """An expected.toml, read once."""
        if path not in self._expectations:
            try:
                self._expectations[path] = expected.load(path)
            except expected.ExpectedError as error:
                self._expectations[path] = error
        return self._expectations[path]

    def outcome_of_exception(self, error: Exception) -> Outcome:
        """For an exception in this process: with --modelconform-inline a handler's, else a fault of ours or a plugin's.

        Such a fault must not pass for the load or the run that `expected.toml` knows to fail.
        """
        if not self.settings.inline:
            said = f"a fault of pytest-modelconform or of a plugin, which says nothing of model and runtime: {error!r}"
            return Outcome(Verdict.ERROR, Stage.ENVIRONMENT, said)
        stages = {"collect": Stage.COLLECT, "reference": Stage.REFERENCE, "export": Stage.EXPORT, "load": Stage.LOAD}
        stage = stages.get(self.pool.last_op, Stage.RUN)
        return Outcome(Verdict.ERROR, stage, f"{type(error).__name__}: {error}")

    def declare(self, path: Path) -> Declaration:
        """The cases of a file, from the cache or by importing it in the case host."""
        if path not in self._declared:
            static = collect.static_cases(path)
            if any(case.missing() for case in static):
                # It can't be imported here; its cells are shown as unavailable all the same.
                self._declared[path] = Declaration(static)
            else:
                self._declared[path] = self._import(path, static)
        return self._declared[path]

    def _import(self, path: Path, static: Sequence[Declared]) -> Declaration:
        relative = path.relative_to(self.config.rootpath).as_posix() if self._is_below_root(path) else path.name
        key = hash_of("collect", fingerprint.fingerprint(), self.pool.path, str(path), relative, hash_file(path))
        try:
            content = self.cache.read_case(key)
            if content is None:
                with self.cache.lock(f"case-{key}"):
                    content = self.cache.read_case(key)
                    if content is None:
                        # Where the first case that isn't PyTorch's lives: what it imports is only there.
                        others = (FRAMEWORKS[c.framework] for c in static if c.framework in FRAMEWORKS)
                        worker = self.pool.host_for(next((f for f in others if f.name != TORCH), FRAMEWORKS[TORCH]))
                        answer = worker.ask("collect", self.settings.timeout, file=str(path), relative=relative)
                        content = self.cache.write_case(key, {"cases": answer["cases"]}, answer["files"])
        except WorkerError as error:
            return Declaration(problem=Outcome(Verdict.ERROR, Stage.COLLECT, f"{path.name}: {error}"))
        except WorkerProblem as problem:
            verdicts = {WorkerCrashed: Verdict.CRASH, WorkerTimeout: Verdict.TIMEOUT}
            verdict = verdicts.get(type(problem), Verdict.ERROR)
            details = problem.details if isinstance(problem, WorkerRefused) else ""
            message = f"{path.name}: {problem}" + (f"\n{details}" if details else "")
            return Declaration(problem=Outcome(verdict, Stage.COLLECT, message))
        return Declaration([self._declared_case(case) for case in content["cases"]])

    def _declared_case(self, case: dict[str, Any]) -> Declared:
        others = {key: Tolerance(**tolerance) for key, tolerance in case["tolerances"].items()}
        # Here, since the case host does not know the runtimes that other packages have registered.
        fault = case["fault"] or tolerances.fault(case["name"], others, self.registry.runtimes)
        tolerance = Tolerance(**case["tolerance"])
        return Declared(**{**case, "fault": fault, "tolerance": tolerance, "tolerances": others})

    def _is_below_root(self, path: Path) -> bool:
        return self.config.rootpath in path.parents

    # -- collection ------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> CaseFile | None:
        """Keep pytest's Python plugin from importing a case file that was named on the command line."""
        return CaseFile.from_parent(parent, path=module_path) if collect.is_case_file(module_path) else None

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collect case files, and the expectations beside them."""
        if file_path.name == expected.NAME and not parent.session.isinitpath(file_path.with_suffix(".py")):
            return ExpectedFile.from_parent(parent, path=file_path)
        if file_path.suffix != ".py" or parent.session.isinitpath(file_path) or self._is_test_file(file_path):
            return None  # pytest's Python plugin asks pytest_pycollect_makemodule for these.
        return CaseFile.from_parent(parent, path=file_path) if collect.is_case_file(file_path) else None

    def _is_test_file(self, path: Path) -> bool:
        patterns: Sequence[str] = [*self.config.getini("python_files"), "__init__.py"]
        return any(path.match(pattern) for pattern in patterns)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what will run, so that what does not can be told."""
        self._collected = {item.nodeid: item.cell for item in session.items if isinstance(item, CellItem)}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """As pytest_collection_finish, on an xdist controller."""
        for node_id in ids:
            cell = self.cell_of(node_id)
            if cell is not None:
                self._collected[node_id] = cell

    def cell_of(self, node_id: str) -> Cell | None:
        """The cell that a node id names, or None."""
        match = _ITEM_ID.fullmatch(node_id)
        if match is None:
            return None
        first, *words = match["rest"].split("-")
        if first in (EAGER, COLLECT):
            format_name, runtime, device = first, first, "cpu"
        else:
            formats = {name.replace("-", "_"): name for name in self.registry.formats}
            runtimes = {name.replace("-", "_"): name for name in self.registry.runtimes}
            if first not in formats or len(words) < 2 or words[0] not in runtimes:
                return None
            devices = {name.replace("-", "_"): name for name in self.registry.devices}
            format_name, runtime, device = formats[first], runtimes[words[0]], devices.get(words[1], words[1])
        dtype = next((word for word in words if word in DEFAULTS), "float32")
        precision = FAST if FAST in words else FULL
        task = next((word for word in words if word in TASKS), INFERENCE)
        cell = Cell(match["file"], match["case"], format_name, runtime, device, dtype, precision, task)
        # No other spelling: every cell has one id.
        return cell if cell.id == node_id else None

    # -- running ---------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let a cell's outcome ride on its report, as one plain dict."""
        report = yield
        if isinstance(item, CellItem) and call.when == "call" and item.outcome is not None:
            tagged = replace(item.outcome, tags=item.tags)
            report.modelconform = to_record(item.cell, tagged)  # type: ignore[attr-defined]
            if self.config.getoption("xmlpath", None):
                item.user_properties += junit.properties(item.cell, item.outcome)
        return report

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """Give the cell in which an xdist worker died its record."""
        cell = self.cell_of(crashitem)
        if cell is not None:
            lost = Outcome(Verdict.NOT_RUN, None, "lost: the pytest process that ran it died")
            report.modelconform = to_record(cell, lost)  # type: ignore[attr-defined]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write a finished cell to the log."""
        record = getattr(report, "modelconform", None)
        if record is not None and not self.is_xdist_worker:
            cell, outcome = from_record(record)
            self._seconds[cell.id] = report.duration
            self._record(cell, outcome)

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Show a failing cell's verdict as letter and word; pass, skip and xfail are pytest's."""
        record = getattr(report, "modelconform", None)
        if record is None or report.when != "call" or not report.failed:
            return None
        verdict = Verdict(record["verdict"])
        letter = STYLES[verdict].letter if STYLES[verdict].outcome == "failed" else "F"
        return "failed", letter, verdict.value.upper()

    def pytest_report_header(self) -> list[str]:
        """What will be tested, and which part of it is not here."""
        lines = [f"modelconform: {', '.join(self.formats)} in {', '.join(self.runtimes)} on {', '.join(self.devices)}"]
        if tuple(self.precisions) != (FULL,):
            lines[0] += f" in {' and '.join(self.precisions)} precision"
        for name in self.runtimes:
            runtime = self.registry.runtime(name)
            reasons = {d: runtime.unavailable(d) or devices.lacking(d) for d in runtime.DEVICES}
            lines += [
                f"modelconform: {name} ({device}) is unavailable: {reason}"
                for device, reason in reasons.items()
                if reason and device in self.devices
            ]
        return lines

    # -- the log and what is made of it ----------------------------------------------------------------------------

    def _record(self, cell: Cell, outcome: Outcome) -> None:
        self._recorded.add(cell.id)
        self._writer().cell(cell, outcome)

    def _writer(self) -> log.LogWriter:
        if self._log is None:
            self._log = log.LogWriter(self._log_path(), environment.describe(self), self.settings.shard)
        return self._log

    def _log_path(self) -> Path:
        if self.settings.log is not None:
            return self.settings.log
        name = time.strftime("%Y%m%d-%H%M%S") + f"-{os.getpid()}.jsonl"
        folder = self.settings.cache / "logs"
        if (cache := getattr(self.config, "cache", None)) is not None:
            folder = cache.mkdir("modelconform")
        for old in sorted(folder.glob("*.jsonl"))[: -_KEPT_LOGS + 1]:
            old.unlink(missing_ok=True)
        return folder / name

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """End the workers, whatever ended the session, and finish the log."""
        if "pipeline" in self.__dict__:
            self.pipeline.close()
        if "pool" in self.__dict__:
            self.pool.close()
        if self.is_xdist_worker or self.config.option.collectonly:
            return
        for node_id, cell in self._collected.items():
            if node_id not in self._recorded:
                self._record(cell, Outcome(Verdict.NOT_RUN, None, "not run: the session ended before"))
        if self.settings.shard:
            self._writer()  # A shard that has nothing to run says so: without a log it would be missing.
        if self._log is not None:
            self._log.close(self.sharded)
            if self.settings.json is not None:
                json_report.write(log.read(self._log.path), self.settings.json)
            if self.settings.html is not None:
                # Here, since templates take their time to import, and few sessions want a page.
                from .report import html

                html.write(log.read(self._log.path), self.settings.html)
            environment.remember_durations(self.settings.cache, self._seconds)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the matrix."""
        if self._log is None or self.is_xdist_worker:
            return
        written = log.read(self._log.path)
        terminalreporter.section("compatibility matrix")
        writer = terminalreporter._tw
        folded = matrix.fold(written.cells, self.registry.formats, self.registry.runtimes)
        terminal.write(folded, writer, self._rerun_command(), written.complete)
        writer.line()
        writer.line(terminal.legend(writer.hasmarkup))
        writer.line(f"log: {self._log.path}")

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Keep the cells of one case and format together, the longest first; only for plain `-n`."""
        if config.getoption("dist") != "load":
            return None
        from .scheduler import CellScheduling

        return CellScheduling(config, log, environment.durations(self.settings.cache))


def _with_checks(file: str, case: str, dtype: str, cells: Sequence[Cell]) -> list[Cell]:
    """Cells of a case in a dtype behind the model checks that they rest on."""
    trains = any(cell.task != INFERENCE for cell in cells)
    tasks = (INFERENCE, TRAINING) if trains else (INFERENCE,)
    return [*(Cell(file, case, EAGER, EAGER, dtype=dtype, task=task) for task in tasks), *cells]
