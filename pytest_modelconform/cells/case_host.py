"""The case host's side of a cell: its references and its artifact, from the cache or made."""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from ..cache import disk, fingerprint, store
from ..cache.fingerprint import hash_file, hash_of
from ..cache.store import Cache
from ..formats.frameworks import FRAMEWORKS
from ..references import from_runs, steps, training
from ..references.content import (
    Content,
    Converted,
    Exported,
    Inference,
    InferenceAnswer,
    Looked,
    MoreNoise,
    Packages,
    ProgramAnswer,
    Resumed,
    Steps,
    StepsAnswer,
    Training,
    TrainingAnswer,
    Variants,
)
from ..references.model_check import ModelFault
from ..references.prepared import Prepared
from ..terms import devices
from ..terms.case import TORCH
from ..terms.cell import EAGER, FAST, SEQUENCE, TRAINING, CaseRef, Cell
from ..terms.exports import Given
from ..terms.operators import TORCH as TORCH_OPERATORS
from ..terms.outcome import Outcome, Stage, Verdict
from ..terms.signature import BadSignature, Signature
from ..workers import lookups
from . import own_operators, refusals, typed
from .calibration import calibration
from .columns import SMOKE, Columns
from .made import Made
from .pool import AnyWorker, Pool
from .registry import Registry
from .stages import Artifact, Budget, StageFailure, failure_of, kept, start
from .worker import InlineWorker, WorkerProblem, WorkerRefused

T = TypeVar("T")
# What a case host reads the files of cases with, whatever package it was started from.
_FORMATS = "pytest_modelconform.formats"
# What the references of a task are; Inference for the others.
_KINDS: dict[str, type[Content]] = {TRAINING: Training, SEQUENCE: Steps}


class Exports:
    """Prepares cases and exports them. Keeps the case that it prepared last, and what failed in this session.

    given: options for exporters, by column. again: whether references that a used case host fails at are made in a
    fresh one.
    """

    again = True

    def __init__(
        self,
        registry: Registry,
        cache: Cache,
        pool: Pool,
        timeout: float,
        given: Mapping[str, Given] = MappingProxyType({}),
    ) -> None:
        self.columns = Columns(registry, pool, given)
        self.registry = registry
        self.cache = cache
        self.pool = pool
        self.timeout = timeout
        # By precision and task, since those of a case take turns.
        self._prepared: dict[tuple[str, str], tuple[CaseRef, Prepared]] = {}
        self._faults: dict[CaseRef, StageFailure] = {}
        self._failed_exports: dict[tuple[CaseRef, str, str], StageFailure] = {}

    def forget(self) -> None:
        """Have what failed in this session tried again."""
        self._faults.clear()
        self._failed_exports.clear()

    def prepare(self, ref: CaseRef, budget: Budget) -> Prepared:
        """The references of a case, from the cache or made. Raises StageFailure; again for a case that failed."""
        last, prepared = self._prepared.get((ref.precision, ref.task), (None, None))
        if prepared is not None and last == ref:
            return prepared
        if ref in self._faults:
            raise self._faults[ref]
        try:
            prepared = self.find(ref, budget)
        except StageFailure as failure:
            if not failure.is_of_disk:
                self._faults[ref] = failure
            raise
        self._prepared[ref.precision, ref.task] = (ref, prepared)
        return prepared

    def find(self, ref: CaseRef, budget: Budget) -> Prepared:
        """The references of a case, without keeping them or their failure. Raises StageFailure."""
        key, kind = self._references_key(ref), _KINDS.get(ref.task, Inference)
        if found := self._cached(key, kind):
            return found
        return kept(lambda: self.cache.attempt(lambda place: self._found_or_made(ref, budget, key, kind, place)))

    def made_of(self, ref: CaseRef, cell: Cell, said: Collection[str] = ()) -> str:
        """What names all that a cell's case and its artifact were made of, as it is now; "" where nobody knows that.

        said: the columns whose exports the case says something of. The files that these are made from are no part of
        the case, but of the artifact.
        """
        try:
            if (prepared := self._known(ref)) is None:
                return ""
            through = () if cell.is_check else self.registry.made_through(cell.format, ref.framework, ref.own)
            if all(column not in said and self.columns.own(column) is None for column in through):
                return prepared.key
            ref = replace(ref, task=cell.artifact_task)
            if (source := self._known(ref)) is None:
                return ""
            route = devices.route(cell.device, self.registry.format(cell.format).DEVICE_BOUND)
            key = self.columns.key(source, cell.format, route.exported_on, ref)
        except StageFailure:
            return ""
        made = Made.read_valid(self.cache.place("artifacts", key))
        return "" if made is None else hash_of(prepared.key, dict(made.all_files))

    def _known(self, ref: CaseRef) -> Prepared | None:
        """The references of a case, if they are there. Raises StageFailure."""
        last, prepared = self._prepared.get((ref.precision, ref.task), (None, None))
        if prepared is None or last != ref:
            prepared = self._cached(self._references_key(ref), _KINDS.get(ref.task, Inference))
            if prepared is not None:
                self._prepared[ref.precision, ref.task] = (ref, prepared)
        return prepared

    def _references_key(self, ref: CaseRef) -> str:
        """Of a case's references in the cache. Raises StageFailure."""
        source = [str(ref.file), ref.relative, ref.name, ref.dtype, ref.precision, ref.task, hash_file(ref.file)]
        # The host's path decides which local module an import finds.
        if (environment := FRAMEWORKS[ref.framework].environment) is not None:
            source.append(self.columns.environment(environment))
        return hash_of("reference", fingerprint.fingerprint(), self.pool.path, source)

    def _found_or_made(self, ref: CaseRef, budget: Budget, key: str, kind: type[Content], place: Path) -> Prepared:
        """References that another process has made meanwhile, or new ones in a folder of the cache."""
        with contextlib.ExitStack() as stack:
            with disk.watched(place):
                stack.enter_context(self.cache.lock(f"case-{key}", place))
                if found := self._cached(key, kind):
                    return found
                folder = Path(tempfile.mkdtemp(prefix=".making-", dir=place / "references"))
            try:
                with disk.watched(place):
                    made = self._references(ref, budget, folder)
                    content = typed.json_of(made)
                    beside = content.pop("files"), content.pop("packages")
                    content = self.cache.write_case(key, content, *beside, folder, place)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        digest = content["digest_of_all"]
        return Prepared(made, digest, place / "references" / digest, cached=False)

    def _references(self, ref: CaseRef, budget: Budget, folder: Path) -> InferenceAnswer | StepsAnswer | TrainingAnswer:
        """Have the references of a case made in a folder. Raises StageFailure."""
        fields = {"folder": str(folder), "precision": ref.precision, **self._request(ref)}
        try:
            if ref.task == TRAINING:
                return training.make(folder, self._ask_reference(ref, budget, TrainingAnswer, **fields))
            if ref.task == SEQUENCE:
                return steps.make(folder, self._ask_reference(ref, budget, StepsAnswer, **fields))
            answer = self._ask_reference(ref, budget, InferenceAnswer, **fields)
            return from_runs.make(folder, answer, fast=ref.precision == FAST)
        except ModelFault as fault:
            raise StageFailure(Stage.REFERENCE, Verdict.ERROR, f"case {ref.name!r}: {fault}") from fault

    def variants(self, ref: CaseRef, prepared: Prepared, name: str, folder: Path, seconds: float) -> Variants:
        """Have the case host write eager variants of an input set to `folder`. Raises StageFailure."""
        # The host begins no variant that it may not end in time; what is over and above is for building the case.
        fields: dict[str, Any] = {
            "digest": prepared.digest,
            "set": name,
            "folder": str(folder),
            "seconds": 0.7 * seconds,
        }
        fields |= {"host": self._case_host(ref), **self._request(ref)}
        return self._ask_host(Budget(seconds, self.pool), Stage.COMPARE, "diagnose", Variants, **fields)

    def more_noise(
        self, ref: CaseRef, prepared: Prepared, name: str, folder: Path, runs: int, seconds: float
    ) -> MoreNoise:
        """Have the case host write further noisy runs of an input set to `folder`. Raises StageFailure."""
        fields: dict[str, Any] = {"digest": prepared.digest, "set": name, "folder": str(folder), "runs": runs}
        fields |= {"seconds": 0.7 * seconds, "host": self._case_host(ref), **self._request(ref)}
        return self._ask_host(Budget(seconds, self.pool), Stage.COMPARE, "noise", MoreNoise, **fields)

    def program(self, ref: CaseRef, budget: Budget, way: str, static_too: bool) -> ProgramAnswer:
        """The operators of a case's model, or its submodules, see terms/program.py. Raises StageFailure.

        static_too: whether a program of fixed sizes will do where there is no other.
        """
        fields = {"host": self._case_host(ref), "way": way, "static_too": static_too, **self._request(ref)}
        return self._ask_host(budget, Stage.BUILD, "program", ProgramAnswer, **fields)

    def resume(self, ref: CaseRef, prepared: Prepared, checkpoint: Path, target: Path, budget: Budget) -> Resumed:
        """Have the case host go on with a training from a runtime's checkpoint. Raises StageFailure."""
        fields: dict[str, Any] = {"digest": prepared.digest, "checkpoint": str(checkpoint), "outputs": str(target)}
        return self._ask_host(budget, Stage.RUN, "resume", Resumed, **fields, **self._request(ref))

    def _case_host(self, ref: CaseRef) -> Callable[[], AnyWorker]:
        """The case host that builds a case."""
        return functools.partial(self.pool.host_for, FRAMEWORKS[ref.framework])

    def _ask_reference(self, ref: CaseRef, budget: Budget, kind: type[T], **fields: Any) -> T:
        host = self._case_host(ref)
        used = start(host).used
        try:
            return self._ask_host(budget, Stage.REFERENCE, "reference", kind, host=host, **fields)
        except StageFailure:
            if not used or not self.again:
                raise
            self._fresh_host(host)
            more = Budget(self.timeout, self.pool)
            return self._ask_host(more, Stage.REFERENCE, "reference", kind, host=host, **fields)

    def _cached(self, key: str, kind: type[Content]) -> Prepared | None:
        found = self.cache.read_case(key, lookups.unchanged)
        content = typed.cached(found, kind)
        if found is None or content is None:
            return None
        folder = self.cache.place("references", found["digest_of_all"])
        return Prepared(content, found["digest_of_all"], folder, cached=True) if folder.is_dir() else None

    def _request(self, ref: CaseRef) -> dict[str, Any]:
        asked = {"file": str(ref.file), "relative": ref.relative, "case": ref.name}
        own = self._own_operators(ref, (TORCH_OPERATORS,))
        return {**asked, "dtype": ref.dtype, "task": ref.task, **({"operators": own} if own else {})}

    def _own_operators(self, ref: CaseRef, kinds: Sequence[str]) -> list[str]:
        """What registers a case's own operators, with the libraries of sources. Raises StageFailure."""
        pool, named = self.pool, dict(ref.operators)
        found = (own_operators.loadable(kind, named.get(kind, ()), pool.cache, pool.progress) for kind in kinds)
        return [name for names in found for name in names]

    def _ask_host(
        self,
        budget: Budget,
        stage: Stage,
        op: str,
        kind: type[T],
        /,
        host: Callable[[], AnyWorker] | None = None,
        **fields: Any,
    ) -> T:
        """Ask a case host (the common one) or a converter, once. One that is of no more use is ended.

        kind: what the answer has to be; one that isn't is the case host's fault, and so an error.
        """
        worker = start(host or self.pool.host)
        worker.used = True
        try:
            return typed.answer(worker, op, budget.ask(worker, op, **fields), kind)
        except WorkerProblem as problem:
            if not isinstance(problem, WorkerRefused):
                self.pool.discard(worker)
            raise failure_of(problem, stage) from problem

    def _packages(self, host: Callable[[], AnyWorker]) -> Packages:
        """A case host's record of the packages that it has looked for. Raises a WorkerProblem."""
        worker = start(host)
        return typed.answer(worker, "packages", worker.ask("packages", self.timeout), Looked).packages

    def _fresh_host(self, host: Callable[[], AnyWorker] | None = None) -> None:
        """See to it that the next request goes to a case host that has done nothing before."""
        worker = start(host or self.pool.host)
        if worker.used:
            self.pool.discard(worker)

    def artifact(
        self,
        ref: CaseRef,
        prepared: Prepared,
        cell: Cell,
        budget: Budget,
        expects: Callable[[Outcome], bool],
        anew: bool = False,
    ) -> Artifact:
        """The artifact of a case in a format, from the cache or made. Raises StageFailure.

        anew: one that a used case host made is made again in a fresh one. Exporters leave state behind (measured with
        torch 2.14: where torch.export has failed on a dynamic length of an LSTM, torch.onnx.export in the same process
        makes that length static, without a word), so that a fresh host's artifact counts where a used one's fails.
        """
        module = self.registry.format(cell.format)
        device = devices.route(cell.device, module.DEVICE_BOUND).exported_on
        where = devices.exported_on(cell.device, module.DEVICE_BOUND, module.IN_PLACE)
        key = self.columns.key(prepared, cell.format, device, ref)
        if failure := self._failed_exports.get((ref, cell.format, device)):
            raise failure
        folder = self.cache.place("artifacts", key)
        made = Made.read_valid(folder) if folder.is_dir() else None
        if folder.is_dir() and (made is None or (anew and not made.fresh)):
            outdated = made is None
            self.cache.forget("artifacts", key, lambda folder: not outdated or Made.read_valid(folder) is None)
            if self.columns.is_exported(ref, cell.format):  # else its source is made by a fresh one
                self._fresh_host(self._host_of(ref, cell.format, where))
        try:
            if made is None and (refused := refusals.read(self.cache, key)) and expects(refused.outcome()):
                raise refused
            if not self.columns.is_exported(ref, cell.format):
                source = self.artifact(ref, prepared, replace(cell, format=module.FROM), budget, expects, anew)
                cached = self._convert(source, prepared, cell, key, budget)
            else:
                cached = self._export(ref, prepared, cell, where, key, budget, expects)
        except StageFailure as failure:
            # Of a full disk or a full GPU nothing follows for the next cell: somebody may make room.
            if not failure.is_of_disk and failure.verdict is not Verdict.OUT_OF_MEMORY:
                self._failed_exports[ref, cell.format, device] = failure
            raise
        folder = self.cache.place("artifacts", key)
        # Of what was made just now, whatever is installed meanwhile: that is for the next run to see.
        made = Made.read(folder)
        assert made is not None
        try:
            stored = store.read_json(folder / "signature.json")
            if module.IN_PLACE:
                # Here, and not in the cache: other checkouts of the same sources share its entries.
                stored = {**stored, "case": {**self._request(ref), "path": self.pool.path, "digest": prepared.digest}}
            signature = Signature.read(stored)
        except BadSignature as error:
            raise StageFailure(Stage.EXPORT, Verdict.ERROR, f"format {cell.format}: {error}") from error
        size = int(stored.get("bytes", 0)) if module.IN_PLACE else made.bytes
        return Artifact(folder, signature, made.seconds, size, cached, made.fresh, made.all_files)

    def _host_of(self, ref: CaseRef, column: str, device: str) -> Callable[[], AnyWorker]:
        """The case host that exports a case: the format's for a model in PyTorch, else the framework's.

        The environment of a format that is converted is its converter's, which knows nothing of cases.
        """
        module = self.registry.format(column)
        if ref.framework == TORCH and not module.FROM:
            return functools.partial(self.pool.host_of, module.NAME, device)
        return functools.partial(self.pool.host_for, FRAMEWORKS[ref.framework], device)

    def _convert(self, source: Artifact, prepared: Prepared, cell: Cell, key: str, budget: Budget) -> bool:
        """Have the format's converter make an artifact from another format's unless it is there already."""
        if source.signature.calls:
            calls = ", ".join(source.signature.calls)
            why = f"format {cell.format} is made from {source.signature.format}, which calls {calls}, the case's own"
            raise StageFailure(Stage.EXPORT, Verdict.UNSUPPORTED, f"{why}: its converter knows no operators of others")

        def make(folder: Path) -> None:
            self.pool.last_op = "convert"
            request: dict[str, Any] = {
                "source": str(source.folder),
                "signature": source.signature.stored,
                "folder": str(folder),
            }
            converter = functools.partial(self.pool.converter, cell.format)
            with tempfile.TemporaryDirectory(prefix="modelconform-") as inputs:
                if self.registry.format(cell.format).CALIBRATES:
                    request["calibration"] = calibration(source.signature, prepared, Path(inputs))
                answer = self._ask_host(budget, Stage.EXPORT, "convert", Converted, host=converter, **request)
            signature = {**answer.signature, "format": cell.format}
            (folder / "signature.json").write_text(store.dumps(signature))
            # What the way from the model took, as for formats that are made in one step.
            seconds = source.seconds + answer.seconds
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            packages = answer.packages or lookups.everything()
            of_source = Made.read(source.folder)
            Made(seconds=seconds, bytes=size, fresh=source.fresh, packages=packages, source=of_source).write(folder)

        return kept(lambda: self.cache.produce("artifacts", key, make))[1]

    def _export(
        self,
        ref: CaseRef,
        prepared: Prepared,
        cell: Cell,
        device: str,
        key: str,
        budget: Budget,
        expects: Callable[[Outcome], bool],
    ) -> bool:
        """Export unless it is there already; whether it was. What a used host fails at, a fresh one tries again."""
        module = self.registry.format(cell.format)
        if why := own_operators.unexportable(module.NAME, ref):
            raise StageFailure(Stage.EXPORT, Verdict.UNSUPPORTED, f"format {module.NAME} can't: {why}")
        host = self._host_of(ref, cell.format, device)
        is_own = self.columns.is_own_file(ref, cell.format)
        request = {
            "module": module.module if is_own else module.FRAMEWORKS[ref.framework],
            "format": module.NAME,
            "by": _FORMATS,
            "column": cell.format,
            "options": self.columns.options(cell.format, ref),
            "own": self.columns.own(cell.format),
            "digest": prepared.digest,
            "device": device,
            "output_paths": prepared.output_paths,
            **self._request(ref),
        }
        if libraries := self._own_operators(ref, module.OPERATORS):
            request["libraries"] = libraries

        asked = (Stage.EXPORT, "export", Exported)

        def make(folder: Path) -> None:
            if ref.file != SMOKE.file and cell.runtime != EAGER:
                # The runtime's process imports its framework meanwhile.
                self.pool.prestart(cell.runtime, cell.device)
            with self.pool.turns.held() if device == devices.CUDA else contextlib.nullcontext():
                exported(folder)

        def exported(folder: Path) -> None:
            worker = start(host)
            fresh = not worker.used
            try:
                answer = self._ask_host(budget, *asked, host=host, folder=str(folder), **request)
            except StageFailure as failure:
                if failure.verdict is Verdict.OUT_OF_MEMORY:
                    raise
                if expects(failure.outcome()):
                    refusals.keep(self.cache, key, failure, lambda: self._packages(host))
                    raise
                # In this process nothing is fresh, and what failed once fails otherwise: torch.jit.script says that a
                # method is there already.
                if fresh or isinstance(worker, InlineWorker) or failure.verdict is Verdict.UNSUPPORTED:
                    raise
                fresh = True
                self._fresh_host(host)
                for left in folder.iterdir():
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
                more = Budget(self.timeout, self.pool)
                answer = self._ask_host(more, *asked, host=host, folder=str(folder), **request)
            Made(
                seconds=answer.seconds, bytes=answer.bytes, fresh=fresh, packages=answer.packages, files=answer.files
            ).write(folder)

        return kept(lambda: self.cache.produce("artifacts", key, make))[1]
