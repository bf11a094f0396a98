"""Operators of a case's own in the case host: registered before it is built, and named in what is exported."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_modelconform.terms import operators

from .. import registering
from ..loop import UNSUPPORTED, WorkerError, explain
from .cases import import_file
from .operators import BUILT_IN

if TYPE_CHECKING:
    from .build import Built

# Namespaces of packages whose operators runtimes have by other ways, or that exporters bring.
PACKAGED = ("torchvision", "torchao", "quantized_decomposed", "executorch", "dim_order_ops", "rngprims")
# Domains of ONNX that belong to the standard, or to ONNX Runtime itself.
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft")
# Fields of `Operators` by the formats whose exporter has a use for them.
_FIELDS = {"openvino": "openvino", "executorch": "executorch", "executorch-portable": "executorch"}
_TRANSLATED = ("onnx", "onnx-legacy", "onnx-decomposed", "onnx-opset9")


def register(request: Mapping[str, Any]) -> None:
    """Register what a request names, around the import of its case file, which may import some of it by itself."""
    names = request.get("operators", [])
    if not names:
        return
    later = [name for name in names if name.endswith(operators.PYTHON)]
    try:
        registering.register([name for name in names if name not in later])
        import_file(request["file"], request["relative"])
        registering.register(later)
    except WorkerError as error:
        raise WorkerError(f"case {request['case']!r}, {error}", error.stage or "build", error.kind) from error


def described(signature: dict[str, Any], built: Built, file: str, folder: Path) -> dict[str, Any]:
    """What a signature says of a case's own operators: nothing where it has none.

    `extensions`: what registers them, by kind. `calls`: those that the artifact calls, as far as a file says it:
    namespaces of PyTorch's operators, else names ("domain::Operator").
    """
    if built.case.operators is None:
        return {}
    path = folder / signature["file"]
    if path.suffix == ".onnx":
        calls = sorted(set(_of_onnx(path)))
    elif path.suffix == ".xml":
        calls = sorted(set(_of_openvino(path)))
    elif path.suffix == ".pte":
        content = path.read_bytes()
        calls = [name for name in _own_names() if name.encode() in content]
    else:
        calls = [name for name in signature.get("operators", []) if name not in PACKAGED]
    return {"extensions": operators.named(built.case.operators, file), "calls": calls}


def _of_onnx(path: Path) -> Iterator[str]:
    """Operators outside the standard that no function of the file defines."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    defined = {(function.domain, function.name) for function in model.functions}

    def walk(nodes: Any) -> Iterator[str]:
        for node in nodes:
            if node.domain not in _DOMAINS and (node.domain, node.op_type) not in defined:
                yield f"{node.domain}::{node.op_type}"
            for attribute in node.attribute:
                for graph in (attribute.g, *attribute.graphs):
                    yield from walk(graph.node)

    yield from walk(model.graph.node)
    for function in model.functions:
        yield from walk(function.node)


def _of_openvino(path: Path) -> Iterator[str]:
    """Layers of no operation set of OpenVINO's."""
    for layer in ElementTree.parse(path).getroot().iterfind("layers/layer"):
        if not re.fullmatch(r"opset\d+|util", layer.get("version") or "opset1"):
            yield str(layer.get("type"))


def explained(error: Exception, built: Built, format_name: str) -> WorkerError | None:
    """An exporter's failure that is for an operator of the case's own, in our words; None for any other.

    It is so if the exporter's message names an operator that isn't PyTorch's, and the model calls that. The format then
    is `unsupported` where the case says what registers its operators, since all is said that there is to say. Where it
    says how ONNX writes them, what fails is that.
    """
    if _is_said(built, format_name):
        return None
    said = " ".join(_texts(error))
    names = [name for name in _called_by_name(said) if name in _called(built)]
    if not names:
        return None
    name = names[0]
    remedy = _remedy(name, format_name)
    if built.case.operators is not None:
        why = f"format {format_name} can't hold {name}, an operator of the case's own: {remedy}"
        return WorkerError(f"{why}\nIts exporter says: {_shortest(error)}", "export", UNSUPPORTED)
    advice = f"{name} is an operator of your own: {remedy}"
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    # First, since exporters say much, of which a terminal shows the beginning.
    return WorkerError(f"{advice}\n{type(error).__name__}: {explain(error)}", "export", "", trace[-20000:])


def _is_said(built: Built, format_name: str) -> bool:
    """Whether a case says how a format's exporter takes its operators."""
    own = built.case.operators
    if own is None:
        return False
    return bool(own.translations if format_name in _TRANSLATED else getattr(own, _FIELDS.get(format_name, ""), ()))


def _remedy(name: str, format_name: str) -> str:
    overload = f"torch.ops.{name.replace('::', '.')}.default"
    if format_name in _TRANSLATED:
        key = f'"{name}"' if format_name in ("onnx-legacy", "onnx-opset9") else overload
        return (
            f"say in the case how ONNX writes it, operators=Operators(translations=lambda: {{{key}: a_function}}) "
            "(docs/own-operators.md)"
        )
    if field := _FIELDS.get(format_name):
        return f"name in the case what registers it there, operators=Operators({field}=(…,)) (docs/own-operators.md)"
    return f"{format_name} has no way to take one. Write it in operators of PyTorch where you export for {format_name}"


def _texts(error: BaseException | None) -> Iterator[str]:
    """Messages of an exception and of those that led to it."""
    for _ in range(5):
        if error is None:
            return
        yield str(error)
        error = error.__cause__ or error.__context__


def _shortest(error: BaseException) -> str:
    """The first line of the innermost exception, which exporters wrap in advice."""
    *_, last = _texts(error)
    return next((line.strip() for line in last.splitlines() if line.strip()), type(error).__name__)


def _called_by_name(text: str) -> list[str]:
    """Operators of this process, "namespace::name", that a text names as PyTorch or Python write them."""
    found = []
    for full in _own_names():
        namespace, _, name = full.partition("::")
        if namespace in text and re.search(rf"\b{re.escape(namespace)}(::|\.){re.escape(name)}\b", text):
            found.append(full)
    return found


def _own_names() -> list[str]:
    """Operators of this process that are neither PyTorch's nor a known package's, "namespace::name"."""
    names = {full.partition(".")[0] for full in registering.registered()}
    return sorted(name for name in names if name.partition("::")[0] not in (*BUILT_IN, *PACKAGED))


class _Names(TorchDispatchMode):
    """Notes what operators are called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        self.names.add(func._schema.name)
        return func(*args, **(kwargs or {}))


def _called(built: Built) -> set[str]:
    """What the model calls for the exporters' input set."""
    args, kwargs = built.clone_inputs()
    names = _Names()
    try:
        with torch.no_grad(), names:
            built.model(*args, **kwargs)
    except Exception:
        return names.names
    return names.names
