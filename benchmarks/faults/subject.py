"""A case as a subject of faults: its model, its references, and its artifacts that pass."""

from __future__ import annotations

import importlib
import inspect
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from pytest_modelconform.cache import store
from pytest_modelconform.cache.fingerprint import fingerprint, hash_file, hash_of
from pytest_modelconform.cache.store import Cache
from pytest_modelconform.formats.built_in import BUILT_IN as FORMATS
from pytest_modelconform.references import from_runs
from pytest_modelconform.references.content import InferenceAnswer
from pytest_modelconform.references.prepared import Prepared
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.terms.signature import Signature
from pytest_modelconform.terms.tolerances import limits
from pytest_modelconform.workers.host import cases as case_files
from pytest_modelconform.workers.host.build import Built, build
from pytest_modelconform.workers.host.references import runs as reference
from pytest_modelconform.workers.host.state import Globals, seed_all

from .artifact import Artifact, TorchArtifact, load
from .judge import judge
from .mutants import of_artifact

# Of each row, the first format whose artifact passes serves. The last resort for torch is the model itself.
SERVING = (("torchscript-trace", "torchscript-script"), ("onnx", "onnx-legacy"))


@dataclass(frozen=True)
class Subject:
    """A case, ready for faults. left_out: formats that don't serve, with the reason."""

    name: str
    built: Built
    prepared: Prepared
    tolerance: Tolerance
    artifacts: Mapping[str, Artifact]
    left_out: Mapping[str, str]


def find_cases(file: Path, root: Path) -> Iterator[str]:
    """Names of the cases in a file. Imports it."""
    yield from case_files.find(case_files.import_file(str(file), file.relative_to(root).as_posix()), str(file))


def prepare(built: Built, folder: Path) -> Prepared:
    """The references of a case, in `folder`. Raises WorkerError or ModelFault where it has none."""
    folder.mkdir(parents=True, exist_ok=True)
    answer = msgspec.convert(reference.make(built, str(folder), search=False), InferenceAnswer)
    return Prepared(from_runs.make(folder, answer), "", folder, cached=False)


def exported(built: Built, format_name: str) -> Artifact:
    """A case in a format, from the cache or exported. Cases are single files here, so that these stand for all."""
    exporter: Any = importlib.import_module(FORMATS[format_name])
    state = Globals()

    def make(folder: Path) -> None:
        seed_all(built.case.seed, built.name, "export")
        try:
            signature = exporter.export(built, folder)
        finally:
            state.restore()
        (folder / "signature.json").write_text(json.dumps({**signature, "format": format_name}))

    source = hash_file(inspect.getfile(built.case.model))
    key = hash_of("detection", fingerprint(), source, built.name, built.digest, format_name)
    folder, _ = Cache(store.default_folder()).produce("artifacts", key, make)
    return load(format_name, folder, Signature.read(json.loads((folder / "signature.json").read_text())))


def subject(
    file: Path,
    root: Path,
    name: str,
    folder: Path,
    bits_lost: float | None = None,
    worst: float | None = None,
    choices: Sequence[Sequence[str]] = SERVING,
) -> Subject:
    """Build a case, its references (in `folder`) and its artifacts: of each of `choices`, the first that passes."""
    built = build(str(file), file.relative_to(root).as_posix(), name)
    prepared = prepare(built, folder)
    built.output_paths = prepared.output_paths
    default_bits, default_worst = limits(prepared.tolerance, built.dtype)
    own = replace(prepared.tolerance, bits_lost=default_bits, worst=default_worst)
    tolerance = replace(
        own,
        bits_lost=default_bits if bits_lost is None else bits_lost,
        worst=default_worst if worst is None else worst,
    )
    serving: dict[str, Artifact] = {}
    left_out: dict[str, str] = {}
    for formats in choices:
        for format_name in formats:
            try:
                artifact = exported(built, format_name)
                found = judge(of_artifact(artifact), prepared.sets, own)
                reason = found.message
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
            if not reason:
                serving[artifact.runtime] = artifact
                break
            left_out[format_name] = reason.partition("\n")[0][:200]
    if "torch" not in serving:
        serving["torch"] = TorchArtifact("eager", built.model)
    return Subject(name, built, prepared, tolerance, serving, left_out)


def temporary() -> tempfile.TemporaryDirectory[str]:
    """A folder for references."""
    return tempfile.TemporaryDirectory(prefix="detection-")
