"""Files that a case's own code wrote: copied to where artifacts are, with a signature that fits the model's call.

Runs in the case host.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import matching
from .base import Signature, tree_signature
from .foreign import of_coreml, of_litert, of_package, of_program, of_torchscript
from .matching import Argument, Unmatched, Value

if TYPE_CHECKING:
    from ..terms.exports import Export
    from ..workers.host.build import Built


# What a reader's files are also given for, by their own dtypes: their runtimes narrow it.
_ALSO: Mapping[Callable[[Path], Signature | None], Mapping[str, Sequence[str]]] = {
    of_litert: {"int32": ("int64",)},
    of_coreml: {"int32": ("int64", "int16", "int8", "uint8"), "float32": ("bool",)},
}
_BY_ORDER = "the file's {} were matched with the model's by their order: {}. Export(inputs=…) says it otherwise"


def taken(
    path: Path, folder: Path, foreign: Callable[[Path], Signature | None], built: Built, export: Export
) -> Signature:
    """The signature of a file, which is copied to `folder` with those beside it that belong to it.

    Raises Unmatched where its inputs or outputs can't be told, and whatever reading the file raises.
    """
    found = foreign(path)
    if found is None:
        raise Unmatched("the file is in another format")
    _move(path, folder, _beside(path, found))
    if found["layout"] == "flat":
        return _flat(found, built, export, _ALSO.get(foreign, {}))
    if foreign is of_torchscript:
        return _script(folder / path.name, built, export)
    if foreign is of_program:
        return _program(folder / path.name, built, export)
    if foreign is of_package:
        return _package(path.name, built)
    return found


def _move(path: Path, folder: Path, beside: Sequence[Path]) -> None:
    """Have in the folder what belongs to a file, and nothing else. Raises Unmatched where some of it is missing."""
    kept = set()
    for one in beside:
        within = one.relative_to(path.parent)
        if not one.is_file() or ".." in within.parts:
            raise Unmatched(f"{within}, which belongs to it, is not beside it")
        target = folder / within
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.resolve() != one.resolve():
            shutil.copyfile(one, target)
        kept.add(target)
    for left in folder.iterdir():
        if not any(left == target or left in target.parents for target in kept):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def hashes(path: Path, foreign: Signature) -> dict[str, str]:
    """SHA-256 of a file and of those that belong to it, by path: an artifact that is made of them is as old as they.

    By the paths that name them, through links: these may point at others later.
    """
    return {str(one.absolute()): _hash(one) for one in _beside(path, foreign)}


def _hash(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
    return found.hexdigest()


def _beside(path: Path, signature: Mapping[str, Any]) -> list[Path]:
    """The file, and those that it names: an ONNX file's weights, the `.bin` of OpenVINO's `.xml`. All of a folder's."""
    if path.is_dir():
        return sorted(one for one in path.rglob("*") if one.is_file())
    names = [*signature.get("external", []), *([f"{path.stem}.bin"] if path.suffix == ".xml" else [])]
    return [path, *(path.parent / name for name in names)]


def _arguments(built: Built) -> list[Argument]:
    return [
        Argument(built.argument_name(leaf["path"]), leaf["path"], leaf["dtype"], leaf["shape"])
        for leaf in built.input_leaves
    ]


def _flat(found: Signature, built: Built, export: Export, also: Mapping[str, Sequence[str]]) -> Signature:
    """Of a graph: what it says of itself, by the paths of the model's call. also: of `Value`, by the file's dtype."""
    values = [
        Value(value["name"], value["dtype"], value["shape"], also.get(value["dtype"], ())) for value in found["inputs"]
    ]
    matched = matching.inputs(values, _arguments(built), export.inputs)
    outputs = matching.outputs([value["name"] for value in found["outputs"]], built.output_paths, export.outputs)
    paths = set(matched.paths.values())
    return {
        **found,
        "inputs": [{**value, "path": matched.paths[value["name"]]} for value in found["inputs"]],
        "dropped": [leaf["path"] for leaf in built.input_leaves if leaf["path"] not in paths],
        "outputs": [
            {**value, "path": outputs[value["name"]]} for value in found["outputs"] if value["name"] in outputs
        ],
        "notes": _note(matched, built),
    }


def _note(matched: matching.Inputs, built: Built) -> list[str]:
    if not matched.by_order:
        return []
    pairs = ", ".join(f"{name} is {built.argument_name(path)}" for name, path in matched.paths.items())
    return [_BY_ORDER.format("inputs", pairs)]


def _script(path: Path, built: Built, export: Export) -> Signature:
    """TorchScript is called like the model, by the names of its own forward."""
    import torch

    from ..workers.host import kept_devices, operators
    from ..workers.host.forward import signature

    module = torch.jit.load(path, map_location="cpu")
    names = list(signature(module).parameters)
    found = {
        **tree_signature(path.name, operators.of_script(module)),
        "kept_devices": kept_devices.of_script(module),
    }
    return {**found, **_called(names, built, export)}


def _program(path: Path, built: Built, export: Export) -> Signature:
    """An ExportedProgram is called as it was exported, so that arguments by place stay so, and those by name, too."""
    import torch

    from ..workers.host import containers, operators
    from .program import input_names

    program = torch.export.load(path)
    args, kwargs = program.call_spec.in_spec.children()
    by_place, by_name = args.num_children, list(kwargs.context or ())
    if by_place and not by_name:
        # Their names, as far as each is one tensor.
        names = input_names(program)
        names = names if len(names) == by_place else [f"input {place}" for place in range(by_place)]
        called = _called(names, built, export, keywords=False)
    elif by_place:
        raise Unmatched("it takes some arguments by place and some by name: export it with one kind of them")
    else:
        called = _called(by_name, built, export, keywords=True)
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    shapes = [
        [length if isinstance(length, int) else str(length) for length in nodes[name].meta["val"].shape]
        for name in input_names(program)
    ]
    leaves = _in_order_of(called.get("arguments"), built)
    stated = None
    if len(leaves) == len(shapes):
        stated = [{**leaf, "shape": shape} for leaf, shape in zip(leaves, shapes, strict=True)]
    held = containers.signed(program)
    notes = [*held.get("notes", ()), *called["notes"]]
    return {**tree_signature(path.name, operators.of_program(program), stated), **held, **called, "notes": notes}


def _in_order_of(arguments: Sequence[Sequence[str]] | None, built: Built) -> list[dict[str, Any]]:
    """The tensors of a call in the order of the file's arguments; as the model takes them where that is not said."""
    if arguments is None:
        return built.input_leaves
    return [
        leaf
        for _, path in arguments
        for leaf in built.input_leaves
        if leaf["path"] == path or leaf["path"].startswith(f"{path}/")
    ]


def _called(names: Sequence[str], built: Built, export: Export, keywords: bool | None = None) -> Signature:
    """How something is called that takes arguments, not tensors: `arguments`, where the model's own call won't do.

    keywords: whether it insists on its arguments by name, or by place; None for what takes either.
    """
    args, kwargs = built.inputs[built.exporter_set]
    by_place = {argument_of(built, place): f"/args/{place}" for place in range(len(args))}
    own = {**by_place, **{name: f"/kwargs/{name}" for name in kwargs}}
    if len(names) > len(own):
        # Those that the model has no argument for have defaults, or are missed when the file is called.
        known = [name for name in names if name in own or name in export.inputs]
        names = known if len(known) == len(own) else names[: len(own)]
    values = [Value(name) for name in names]
    matched = matching.inputs(values, [Argument(name, path, "", ()) for name, path in own.items()], export.inputs)
    notes = _note_of_call(matched, own)
    in_order = list(matched.paths.values()) == list(own.values())
    as_placed = not kwargs and in_order and keywords is not True
    as_named = not args and keywords is not False and all(own.get(name) == path for name, path in matched.paths.items())
    if as_placed or as_named:
        return {"notes": notes}
    taken_paths = set(matched.paths.values())
    return {
        "arguments": [["" if keywords is False else name, path] for name, path in matched.paths.items()],
        "dropped": [path for path in own.values() if path not in taken_paths],
        "notes": notes,
    }


def _note_of_call(matched: matching.Inputs, own: Mapping[str, str]) -> list[str]:
    if not matched.by_order:
        return []
    names = {path: name for name, path in own.items()}
    pairs = ", ".join(f"{name} is {names[path]}" for name, path in matched.paths.items())
    return [_BY_ORDER.format("arguments", pairs)]


def argument_of(built: Built, place: int) -> str:
    """What forward calls an argument by place."""
    return built.argument_name(f"/args/{place}")


def _package(name: str, built: Built) -> Signature:
    """A package of AOTInductor says nothing of itself: it takes the call's tensors, and returns the result's leaves."""
    import torch
    from torch.utils._pytree import tree_leaves

    args, kwargs = built.clone_inputs()
    with torch.no_grad():
        leaves = tree_leaves(built.model(*args, **kwargs), is_leaf=lambda value: value is None)
    places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
    inputs = [
        {"name": str(place), "path": leaf["path"], "dtype": leaf["dtype"], "shape": leaf["actual"]}
        for place, leaf in enumerate(built.input_leaves)
    ]
    outputs = [{"name": str(place), "path": path} for place, path in zip(places, built.output_paths, strict=True)]
    return {"file": name, "layout": "flat", "inputs": inputs, "dropped": [], "outputs": outputs, "operators": []}
