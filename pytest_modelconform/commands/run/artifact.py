"""Which artifact `modelconform run` is given: its files, its format, and how it is called."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ...cells.registry import Registry
from ...cells.stages import Artifact
from ...compare import Tree
from ...formats import foreign
from ...references.content import Content, Generated, Leaf, SetEntry
from ...references.prepared import Prepared
from ...runtimes.base import Runtime
from ...terms.accuracy import accuracy
from ...terms.case import Tolerance
from ...terms.signature import BadSignature, Signature
from ...terms.wording import Refused
from ..export.files import DESCRIPTION, SIGNATURE


class DescribedSet(msgspec.Struct, frozen=True, kw_only=True):
    """An input set of an export, as its description says it: see `InputSet` in references/prepared.py."""

    args: list[Tree]
    kwargs: list[list[Any]]
    outputs: Tree
    shapes: Mapping[str, list[int]]
    inputs_changed: list[str]
    generated: str
    may_refuse: bool


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What `modelconform export --to` wrote of a case, as far as it is read again: commands/export/__init__.py."""

    dtype: str
    framework: str
    tolerance: Tolerance
    tolerances: Mapping[str, Tolerance]
    input_sets: Mapping[str, DescribedSet]
    notes: list[str]


@dataclass(frozen=True)
class Found:
    """An artifact, and the case that an export left beside it; None without references."""

    artifact: Artifact
    format: str
    prepared: Prepared | None
    dtype: str


def find(path: Path, runtime: Runtime, registry: Registry, format_name: str) -> Found:
    """What there is at a path, for a runtime. format_name: as the user has it, or "". Raises Refused.

    Raises UnknownName for a format that doesn't exist, foreign.Unreadable for a file that isn't in the format that its
    name says.
    """
    if not path.exists():
        raise Refused(f"{path} doesn't exist. Name an artifact, or a folder that `modelconform export --to` wrote.")
    if format_name:
        registry.format(format_name)
    is_export = (path / SIGNATURE).is_file()
    folder = path if is_export else path.parent
    signature = _json(folder / SIGNATURE) if (folder / SIGNATURE).is_file() else {}
    if is_export or signature.get("file") == path.name:
        return _exported(folder, signature, runtime, registry, format_name)
    signature = foreign_signature(path, runtime, registry, format_name)
    return Found(_artifact(path.parent, signature), signature["format"], None, "float32")


def _exported(folder: Path, signature: dict[str, Any], runtime: Runtime, registry: Registry, format_name: str) -> Found:
    wanted = format_name or str(signature.get("format", ""))
    _refuse_format(wanted, runtime, registry)
    signature = {**signature, "format": wanted}
    described = folder / DESCRIPTION
    if not described.is_file():
        return Found(_artifact(folder, signature), wanted, None, "float32")
    try:
        description = msgspec.convert(_json(described), Description)
    except msgspec.ValidationError as error:
        raise Refused(f"{described} was written by another version. Export the case again ({error}).") from error
    prepared = Prepared(_content(description), "", folder, cached=True)
    return Found(_artifact(folder, signature), wanted, prepared, description.dtype)


def _content(description: Description) -> Content:
    """What the case host would have said of the case, as far as running and comparing take it."""
    sets = description.input_sets
    return Content(
        digest="",
        exporter_set=next(iter(sets), ""),
        input_leaves=[],
        output_paths=[],
        sets={
            name: SetEntry(
                args=entry.args,
                kwargs=entry.kwargs,
                outputs=entry.outputs,
                leaves=[Leaf(path=path, shape=shape) for path, shape in entry.shapes.items()],
                inputs_changed=entry.inputs_changed,
                seconds=0.0,
                impure="",
            )
            for name, entry in sets.items()
        },
        generated={name: Generated(entry.generated, entry.may_refuse) for name, entry in sets.items()},
        left_out={},
        framework=description.framework,
        tolerance=description.tolerance,
        tolerances=description.tolerances,
        notes=description.notes,
        parameters=0,
    )


def foreign_signature(path: Path, runtime: Runtime, registry: Registry, format_name: str) -> dict[str, Any]:
    """The signature of a file that has none beside it, by the formats that its name fits."""
    # A file says nothing of how exact it was meant to be: that takes --format.
    by_name = [
        name for name in runtime.FORMATS if path.suffix in registry.format(name).SUFFIXES and accuracy(name) is None
    ]
    candidates = [format_name] if format_name else by_name
    if format_name:
        _refuse_format(format_name, runtime, registry)
    if not candidates and path.is_dir():
        raise Refused(
            f"The folder {path} holds no {SIGNATURE}. Name an artifact in it, or a folder that "
            "`modelconform export --to` wrote."
        )
    if not candidates:
        others = _main([name for name in registry.runtimes if _suits(path, registry.runtime(name), registry)], registry)
        raise Refused(
            f"The runtime {runtime.NAME} can't load {path.name}. It loads {_loads(runtime, registry)}; use --format if "
            f"the name is unusual.{f' {path.suffix} files run in {either(others)}.' if others else ''}"
        )
    for name in candidates:
        module = registry.format(name)
        if module.foreign is None:
            raise Refused(
                f"A file in the format {name} doesn't say what its inputs are. Run a folder that `modelconform export "
                f"--to` wrote, or put its {SIGNATURE} beside {path.name}."
            )
        if signature := foreign.signature_of(module, path):
            return signature
    raise Refused(
        f"The runtime {runtime.NAME} can't load {path.name}: what is in the file is not {either(candidates)}. Use the "
        "runtime of the format that it was exported to."
    )


def _refuse_format(name: str, runtime: Runtime, registry: Registry) -> None:
    """Raises Refused for a format that a runtime doesn't load."""
    if name not in runtime.FORMATS:
        others = _main([other for other in registry.runtimes if name in registry.runtime(other).FORMATS], registry)
        loads = f"It loads {either(runtime.FORMATS, 'and')}."
        instead = f" {name} runs in {either(others)}." if others else ""
        raise Refused(f"The runtime {runtime.NAME} can't load the format {name}. {loads}{instead}")


def _main(names: Sequence[str], registry: Registry) -> Sequence[str]:
    """Of some runtimes those that run by default; all of them where none does."""
    return [name for name in names if registry.runtime(name).MAIN] or names


def _suits(path: Path, runtime: Runtime, registry: Registry) -> bool:
    """Whether a file's name is that of artifacts that a runtime loads."""
    return any(path.suffix in registry.format(name).SUFFIXES for name in runtime.FORMATS)


def _loads(runtime: Runtime, registry: Registry) -> str:
    """The kinds of files that a runtime loads, in words."""
    suffixes = list(dict.fromkeys(suffix for name in runtime.FORMATS for suffix in registry.format(name).SUFFIXES))
    unnamed = [name for name in runtime.FORMATS if not registry.format(name).SUFFIXES]
    said = [f"{either(suffixes, 'and')} files"] if suffixes else []
    return " and ".join(
        [*said, *([f"the format{'s' if len(unnamed) > 1 else ''} {either(unnamed, 'and')}"] if unnamed else [])]
    )


def either(names: Sequence[str], word: str = "or") -> str:
    """The names in a sentence: "a, b or c"."""
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last


def _artifact(folder: Path, signature: dict[str, Any]) -> Artifact:
    try:
        read = Signature.read(signature)
    except BadSignature as error:
        raise Refused(f"{folder}: {error}") from error
    return Artifact(folder.resolve(), read, seconds=0.0, size=0, cached=True, fresh=True)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Refused(f"{path} can't be read: {error}") from error
    if not isinstance(found, dict):
        raise Refused(f"{path} can't be read: a JSON object was expected")
    return found
