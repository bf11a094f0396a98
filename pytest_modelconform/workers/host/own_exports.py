"""How a case says that a format is made: its options, its function or its file, in the place of a plain export."""

from __future__ import annotations

import ast
import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_modelconform.terms.cell import INFERENCE
from pytest_modelconform.terms.exports import FILE, MAKE, OPTIONS, Export

from ..loop import WorkerError
from . import declared, files
from .build import Built, leaf_shapes, with_dims
from .cases import PACKAGE, explain, short_trace


@dataclass(frozen=True)
class Made:
    """An artifact's signature. files: SHA-256 by path of what it was made from besides the case's own files."""

    signature: dict[str, Any]
    files: Mapping[str, str] = field(default_factory=dict)


def make(exporter: ModuleType, built: Built, folder: Path, request: Mapping[str, Any]) -> Made:
    """Store a case in a format, as it says or as the exporter does it.

    request: `file` (the case file), `column` (the format, perhaps with a variant), `options` (the command line's, the
    literal of a dict, or ""), `own` (fields of an `Export` that comes before the case's, or None) and `by`, the package
    of formats, which this one does not import. Raises WorkerError naming the case, the export and the remedy, and
    whatever the exporter raises.
    """
    column, given, path, instead = request["column"], request["options"], request["file"], request["own"]
    export = Export(**instead) if instead else built.case.exports.get(column)
    # What is trained is exported by the plugin: a file of one's own holds the model as it infers.
    is_own = export is not None and export.kind != OPTIONS and built.task == INFERENCE
    where = f"case {built.name!r}" if instead else f"case {built.name!r}, exports[{column!r}]"
    if is_own:
        assert export is not None
        return _own(exporter, built, folder, export, where, request)
    options, used = _options(export, where, path) if export is not None else ({}, {})
    options |= ast.literal_eval(given) if given else {}
    if options:
        said = f"--modelconform-export {column}" if export is None else f"{where}, options"
        built = _with(built, options, exporter, said, request["by"])
    return Made(exporter.export(built, folder), used)


def _options(export: Export, where: str, path: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What the case gives the exporter, and the hashes of what a function of it read."""
    options: Any = export.options
    used: dict[str, str] = {}
    if callable(options):
        try:
            with files.recorded() as opened:
                options = options()
        except BaseException as error:
            raise WorkerError(
                f"{where}, options: {explain(error, path)}", "export", details=short_trace(error, path)
            ) from error
        used = files.hashed(opened | files.local_modules(PACKAGE))
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise WorkerError(f"{where}, options: the function returned no dict of options by name", "export")
    return dict(options), used


def _with(built: Built, options: Mapping[str, Any], exporter: ModuleType, where: str, by: str) -> Built:
    """The case with options for its exporter."""
    module = importlib.import_module(f"{by}.options")
    try:
        by_function, apart = module.routed(options, getattr(exporter, "EXPORT_OPTIONS", {}))
    except module.UnknownOption as error:
        raise WorkerError(f"{where}: {error}", "export") from error
    if module.DYNAMIC_SHAPES in apart:
        built = _with_shapes(built, apart[module.DYNAMIC_SHAPES], where)
    return replace(built, options=by_function)


def _with_shapes(built: Built, shapes: Any, where: str) -> Built:
    if fault := declared.fault_of_spec(shapes):
        raise WorkerError(f"{where}, dynamic_shapes: {fault}", "export")
    args, kwargs = built.inputs[built.exporter_set]
    leaves = leaf_shapes(built.name, built.exporter_set, built.model, shapes, args, kwargs)
    return replace(built, dynamic_shapes=with_dims(shapes, {}), input_leaves=leaves)


def _own(
    exporter: ModuleType, built: Built, folder: Path, export: Export, where: str, request: Mapping[str, Any]
) -> Made:
    own_files, path = importlib.import_module(f"{request['by']}.own_files"), request["file"]
    foreign = getattr(exporter, "foreign", None)
    if foreign is None:
        raise WorkerError(f"{where}: a file of your own can't be read in this format: give options", "export")
    used: dict[str, str] = {}
    if export.kind == FILE:
        found = _file(built, export, where, path)
    else:
        found, used = _made(built, folder, export, where, path)
    try:
        signature = own_files.taken(found, folder, foreign, built, export)
        # What lies in the artifact's folder was made just now.
        if folder.resolve() not in found.resolve().parents:
            used |= own_files.hashes(found, signature)
        return Made(signature, used)
    except own_files.Unmatched as error:
        raise WorkerError(f"{where}, {found.name}: {error}", "export") from error
    except WorkerError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise WorkerError(f"{where}: {found} can't be read: {kind}: {error}", "export") from error


def _file(built: Built, export: Export, where: str, path: str) -> Path:
    name = str(export.file).replace("{dtype}", built.dtype)
    # Beside the case file as it is named; else beside what that is a link to.
    beside = [folder / name for folder in (Path(path).absolute().parent, Path(path).resolve().parent)]
    found = next((place for place in beside if place.exists()), beside[0])
    if not found.exists():
        raise WorkerError(
            f"{where}: the file {found} doesn't exist: write it before the run, or give its path relative to the case "
            "file",
            "export",
        )
    return found


def _is_artifact(place: Path, folder: Path) -> bool:
    """Whether a file is there, or a folder that a format is stored in; not the one that files are to be put into."""
    return place.is_file() or (place.is_dir() and place.resolve() not in (folder.resolve(), Path.cwd()))


def _made(built: Built, folder: Path, export: Export, where: str, path: str) -> tuple[Path, dict[str, str]]:
    """The file that the case's function wrote, and the hashes of what it read."""
    assert export.make is not None
    args, kwargs = built.clone_inputs()
    where = f"{where}, {MAKE}"
    with files.recorded(besides=str(folder)) as opened:
        try:
            returned = export.make(built.model, kwargs if kwargs and not args else args, folder)
        except BaseException as error:
            trace = short_trace(error, path)
            raise WorkerError(f"{where}: {explain(error, path)}", "export", details=trace) from error
    if not isinstance(returned, (str, os.PathLike)):
        raise WorkerError(
            f"{where}: the function returned a {type(returned).__name__}: return the path of the file that it wrote",
            "export",
        )
    # In the folder that it was given, or else where the process is.
    found = next((place for place in (folder / returned, Path(returned)) if _is_artifact(place, folder)), None)
    if found is None:
        raise WorkerError(
            f"{where}: the function returned {os.fspath(returned)!r}, and no such file is there: write the model into "
            "the folder that it is given, and return the file's path",
            "export",
        )
    inside = f"{folder.absolute()}{os.sep}"
    local = {name for name in files.local_modules(PACKAGE) if not name.startswith(inside)}
    return found, files.hashed(opened | local)
