"""The fixture `modelconform`: exports of a model in hand, checked in a test of one's own rather than by a case file.

The model is in the test's process, and so is the case host: exporters run in this process, runtimes in processes of
their own as ever.
"""

from __future__ import annotations

import copy
import difflib
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..cache.store import Cache, CacheRefused
from ..cells import selection, variants
from ..cells.machinery import Machinery
from ..formats.base import Format
from ..terms import operators, tolerances
from ..terms.case import TORCH, Case
from ..terms.cell import CaseRef, Cell
from ..terms.exports import OWN, Export
from ..terms.outcome import Outcome, Verdict
from ..workers.loop import WorkerError
from . import options
from .quiet import noise_kept, undisturbed
from .registering import registry_of
from .run import place_of

if TYPE_CHECKING:
    import torch

# What the case files that stand for models in hand find their case by.
_held: dict[str, Case] = {}
_FILE = """\
from pytest_modelconform.plugin.fixture import held

case = held({token!r})
"""
# Of Case's fields, those that make no sense for a model that is there already, or that name a file.
_NOT_HERE = (
    "model",
    "inputs",
    "cpp",
    "twins",
    "framework",
    "files",
    "requires",
    "paper",
    "tags",
    "dtypes",
    "train",
    "sequence",
)


# Why there may be a cell of a case, and none of a model in hand.
_NO_FIELD = "it needs fields of a case that check() does not take. Write a case file."


def held(token: str) -> Case:
    """The case of a model in hand. For the files that stand for them."""
    return _held[token]


@dataclass(frozen=True)
class Checked:
    """What a check came to. cells: each with its outcome, the model's own check first."""

    cells: Sequence[tuple[Cell, Outcome]]

    def outcome(self, format_name: str, runtime: str, device: str = "cpu") -> Outcome:
        """The outcome of a cell. Raises KeyError if there is none of that name."""
        for cell, outcome in self.cells:
            if (cell.format, cell.runtime, cell.device) == (format_name, runtime, device):
                return outcome
        raise KeyError(f"no cell {format_name} in {runtime} on {device}")


class Checks:
    """The machinery for the checks of a session, and where models in hand are. They end with the session."""

    def __init__(self, config: pytest.Config) -> None:
        # Options for the exporters of all cases are for those that are collected.
        settings = replace(options.settings(config), exports={})
        registry = registry_of(config)
        self.folder = Path(tempfile.mkdtemp(prefix="modelconform-in-hand-"))
        try:
            # The user's, where harnesses and environments are; looked at first, since they get executed.
            Cache(settings.cache)
        except CacheRefused as error:
            raise pytest.UsageError(f"modelconform: {error}") from error
        # Artifacts of a model that only this process has are of use to no other one.
        own = Cache(self.folder / "cache")
        self.machinery = Machinery(registry, settings, place_of(config), own, inline_host=True)
        self.count = 0

    def close(self) -> None:
        """End the workers and remove the working folder."""
        self.machinery.close()
        self.machinery.leave()
        shutil.rmtree(self.folder, ignore_errors=True)


_CHECKS = pytest.StashKey[Checks]()


def checks_of(config: pytest.Config) -> Checks:
    """Those of a session, made when the first one is asked for. Fails the test where its options make no sense."""
    if _CHECKS not in config.stash:
        try:
            made = config.stash[_CHECKS] = Checks(config)
        except pytest.UsageError as error:
            pytest.fail(str(error), pytrace=False)
        config.add_cleanup(made.close)
    return config.stash[_CHECKS]


class InHand:
    """What the fixture `modelconform` is.

    name: of the test, under which its cells are shown. folder: of the test's file, which files of exports are in.
    """

    def __init__(self, checks: Checks, name: str, folder: Path) -> None:
        self._checks = checks
        self._folder = folder
        self._machinery = checks.machinery
        self._name = re.sub(r"\W+", "_", name).strip("_") or "model"

    def check(
        self,
        model: torch.nn.Module | Callable[[], torch.nn.Module],
        inputs: Any,
        *,
        formats: Sequence[str] = (),
        runtimes: Sequence[str] = (),
        devices: Sequence[str] = (),
        precisions: Sequence[str] = (),
        **case_fields: Any,
    ) -> Checked:
        """Export a model, run the artifacts, and compare them with the model: as a case of `--modelconform`.

        model: a module, which is copied; or a function without arguments that builds one. inputs: a tensor; a tuple
        (positional arguments); a dict of tensors (keyword arguments); or, for several input sets, a dict of functions
        by name, as in `Case`. formats, runtimes, devices, precisions: names; the main ones where none are given. A
        format that is named brings the runtimes that load it, a runtime the formats that it loads.
        case_fields: `dynamic_shapes`, `tolerance`, `tolerances`, `mode`, `exports`, `fixed_inputs`, `accept`,
        `blind_ok`, `seed`, `operators` (files by absolute paths), as in `Case`.

        Fails the test if a cell fails, and says all that did; what is imprecise fails with `Tolerance(strict=True)` or
        `modelconform_strict`. Skips it if none failed, but one that was asked for by name is unavailable or
        unsupported; `modelconform_require` makes unavailable a failure. Raises ValueError or TypeError for names and
        fields that make no sense. What all of these point at is the line of the test.
        """
        __tracebackhide__ = True  # pytest shows the frames that are left: the test's own.
        try:
            with noise_kept():
                case = _located(_case(model, inputs, case_fields), self._folder)
                cells = self._asked(case, formats, runtimes, devices, precisions)
                found = self._run(case, cells)
        except (TypeError, ValueError) as error:
            # Another one, without the frames in between, which are ours.
            raise (TypeError if isinstance(error, TypeError) else ValueError)(str(error)) from None
        failed, missing, worth_a_look = self._judged(found, formats, runtimes)
        if failed:
            pytest.fail(failed)
        if missing:
            pytest.skip(missing)
        if worth_a_look:
            warnings.warn(pytest.PytestWarning(worth_a_look), stacklevel=2)
        return Checked(found)

    def _asked(self, case: Case, *lists: Sequence[str]) -> list[Cell]:
        examples = {"formats": "onnx", "runtimes": "ort", "devices": "cpu", "precisions": "full"}
        for words, (what, example) in zip(lists, examples.items(), strict=True):
            if isinstance(words, str):
                raise TypeError(f"{what} must be a list of names, for example {what}=[{words!r}]")
            if not isinstance(words, (list, tuple, set, frozenset)) or not all(isinstance(w, str) for w in words):
                raise TypeError(f"{what} must be a list of names, for example {what}=['{example}'], not {words!r}")
        registry = self._machinery.registry
        given: dict[str, Any] = {kind: tuple(words) for kind, words in zip(selection.KINDS, lists, strict=True)}
        settings = replace(self._machinery.settings, **given, require=(), typed=tuple(given))
        chosen = selection.select(registry, settings)
        names = selection.asked(settings)
        faults = selection.lacking(registry, chosen, names)
        elsewhere = [name for name in chosen.formats if _is_made_elsewhere(registry.format(name))]
        if named := [name for name in elsewhere if name in given["formats"]]:
            raise ValueError(
                f"format {named[0]} is exported in its own environment, which can't receive a model of this process. "
                "Write a case file for it."
            )
        in_place = [name for name in chosen.formats if registry.format(name).IN_PLACE]
        if named := [name for name in in_place if name in given["formats"]]:
            raise ValueError(
                f"format {named[0]} is built by its runtime's process, which can't receive a model of this one. Write "
                "a case file for it."
            )
        formats = [name for name in chosen.formats if name not in (*elsewhere, *in_place)]
        kinds = _kinds(case)
        columns = variants.columns(formats, kinds)
        asked = (columns, chosen.runtimes, chosen.devices, "float32", chosen.precisions)
        cells = registry.cells(f"{self._name}.py", self._name, *asked, own=_own(kinds))
        faults = faults or [(name, _NO_FIELD) for name in names if not name.has(cells)]
        if faults or not cells:
            raise ValueError(selection.message(faults) if faults else f"no cell of a model in hand: {_NO_FIELD}")
        return cells

    def _run(self, case: Case, cells: Sequence[Cell]) -> list[tuple[Cell, Outcome]]:
        from ..workers.host.cases import check

        machinery = self._machinery
        self._checks.count += 1
        token = str(self._checks.count)
        # A folder a check: the same test may check several models.
        file = self._checks.folder / token / f"{self._name}.py"
        try:
            check(self._name, case, str(file))
        except WorkerError as error:
            raise ValueError(str(error)) from None
        kinds = _kinds(case)
        fault = tolerances.fault(self._name, dict(case.tolerances), machinery.registry.runtimes, kinds)
        if fault := fault or variants.fault(self._name, TORCH, kinds, (), machinery.registry):
            raise ValueError(fault)
        file.parent.mkdir()
        file.write_text(_FILE.format(token=token))
        _held[token] = case
        # Its name in this process's modules; another check of this test has another.
        named = tuple((kind, tuple(names)) for kind, names in operators.named(case.operators, str(file)).items())
        ref = CaseRef(file, f"in_hand_{token}_{self._name}.py", self._name, operators=named, own=_own(kinds))
        model_check = Cell(cells[0].file, self._name, "eager", "eager")
        pipeline = machinery.pipeline
        try:
            with undisturbed():
                found = [(model_check, pipeline.check(ref))]
                found += [(cell, self._outcome(ref, cell)) for cell in cells]
        finally:
            del _held[token]
        return found

    def _outcome(self, ref: CaseRef, cell: Cell) -> Outcome:
        try:
            return self._machinery.pipeline.run(ref, cell)
        except Exception as error:  # What is wrong with one cell costs no other its result.
            return self._machinery.outcome_of_exception(error)

    def _judged(
        self, found: Sequence[tuple[Cell, Outcome]], formats: Sequence[str], runtimes: Sequence[str]
    ) -> tuple[str, str, str]:
        """Why the test fails, why it is skipped, and what is worth a look though it passes: each a text, or ""."""
        required = set(self._machinery.settings.require)
        failed = [
            (cell, outcome)
            for cell, outcome in found
            if outcome.failed or (outcome.verdict is Verdict.UNAVAILABLE and {cell.format, cell.runtime} & required)
        ]
        rest = [(cell, outcome) for cell, outcome in found if not outcome.passed]
        # A green test says that what was asked for is right: every runtime, or a format in what there is.
        passed = {cell.format for cell, outcome in found if outcome.passed and not cell.is_check}
        lacks = rest if runtimes or not passed or set(formats) - {"all"} - passed else []
        look = [_said(cell, outcome) for cell, outcome in found if outcome.verdict is not Verdict.PASS]
        look += [line for cell, outcome in found if outcome.verdict is Verdict.PASS for line in _refused(cell, outcome)]
        return (
            "\n\n".join(_said(cell, outcome) for cell, outcome in failed),
            "; ".join(_said(cell, outcome) for cell, outcome in lacks),
            "\n".join(["modelconform:", *look] if len(look) > 1 else [f"modelconform: {line}" for line in look]),
        )


def _located(case: Case, folder: Path) -> Case:
    """The case with its exports' files as absolute paths: its own file is in a temporary folder."""
    exports: Any = case.exports
    if not isinstance(exports, dict):
        return case
    found = {
        name: replace(export, file=str(folder / export.file))
        if isinstance(export, Export) and isinstance(export.file, str)
        else export
        for name, export in exports.items()
    }
    return replace(case, exports=found)


def _kinds(case: Case) -> Mapping[str, str]:
    """How the case says that columns are made. Nothing of what isn't an `Export`: `check` in cases.py tells of that."""
    given: Any = case.exports
    found = given.items() if isinstance(given, dict) else ()
    return {name: export.kind for name, export in found if isinstance(name, str) and isinstance(export, Export)}


def _own(kinds: Mapping[str, str]) -> tuple[str, ...]:
    """Columns that the case makes itself."""
    return tuple(name for name, kind in kinds.items() if kind in OWN)


def _is_made_elsewhere(module: Format) -> bool:
    """Whether a format's exporter lives in an environment of its own."""
    return module.ENVIRONMENT is not None and not module.FROM


def _said(cell: Cell, outcome: Outcome) -> str:
    stage = f" at stage {outcome.stage.value}" if outcome.stage else ""
    return f"{cell.name}: {outcome.verdict.value}{stage}: {outcome.message}"


def _refused(cell: Cell, outcome: Outcome) -> Iterator[str]:
    """The input sets that a cell passed without: what the test says of the others, it does not say of these."""
    for name, entry in outcome.inputs.items():
        # What a whole column can't take says nothing of this model.
        if entry["verdict"] == Verdict.UNSUPPORTED.value and not entry.get("limit"):
            why = str(entry.get("message") or "it was refused").splitlines()[0]
            yield f"{cell.name} passed without the input set {name!r}: {why}"


def _case(model: Any, inputs: Any, given: Mapping[str, Any]) -> Case:
    """A case of a model in hand. Raises TypeError."""
    import torch

    known = [f.name for f in fields(Case) if f.name not in _NOT_HERE]
    if unknown := sorted(set(given) - set(known)):
        near = difflib.get_close_matches(unknown[0], [*known, "formats", "runtimes", "devices", "precisions"], 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise TypeError(
            f"check() has no argument {unknown[0]!r}.{hint} Of the fields of Case it takes {', '.join(known)}"
        )
    if isinstance(model, torch.nn.Module):
        module = model
        # Every use gets a copy, so that no exporter changes the model of the test.
        build: Callable[[], Any] = lambda: copy.deepcopy(module)  # noqa: E731
    else:
        build = model
    if isinstance(inputs, torch.Tensor):
        inputs = (inputs,)
    if isinstance(inputs, dict) and inputs and all(_is_function(value) for value in inputs.values()):
        sets = inputs
    elif isinstance(inputs, (tuple, dict)):
        kept = inputs
        sets = {"given": lambda: copy.deepcopy(kept)}
    else:
        raise TypeError(
            "inputs is a tensor, a tuple of arguments, a dict of keyword arguments, or a dict that maps names of input "
            f"sets to functions, not {type(inputs).__name__}"
        )
    return Case(model=build, inputs=sets, **given)


def _is_function(value: Any) -> bool:
    import torch

    return callable(value) and not isinstance(value, (torch.Tensor, torch.nn.Module))
