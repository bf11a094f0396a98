"""A case's own operators on a cell's way: built, handed to case hosts and runtimes; or why a runtime can't."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..building import operator_library
from ..cache import spare
from ..cache.made_once import BuildError, Progress
from ..environments import torch_versions
from ..runtimes.base import Runtime
from ..terms import operators
from ..terms.cell import CaseRef
from ..terms.operators import EXECUTORCH, MODULES, ONNXRUNTIME, OPENVINO, TORCH
from ..terms.outcome import Stage, Verdict
from ..terms.signature import Signature
from .stages import StageFailure, kept

_PAGE = "docs/own-operators.md"
# Namespaces of PyTorch's operators that come with packages, for all processes.
_PACKAGED = ("torchvision",)
# What registers operators for whom, as messages say it.
_FOR = {TORCH: "PyTorch", ONNXRUNTIME: "ONNX Runtime", OPENVINO: "OpenVINO", EXECUTORCH: "ExecuTorch"}


def loadable(kind: str, names: Sequence[str], cache: Path, progress: Progress) -> list[str]:
    """Names with the library of each source in its place, built if it isn't there. Raises StageFailure."""

    def made(name: str) -> str:
        if not name.endswith(operators.SOURCES):
            return name
        build: Callable[[Path], Path] = lambda place: operator_library.library(kind, Path(name), place, progress)  # noqa: E731
        return str(kept(lambda: spare.attempt(cache, build)))

    try:
        return [made(name) for name in names]
    except BuildError as error:
        raise StageFailure(Stage.BUILD, Verdict.ERROR, f"field 'operators': {error}") from error


def unexportable(format_name: str, ref: CaseRef) -> str | None:
    """Why a format can't be exported of a case with operators of its own; None where that has to be tried."""
    native = [name for name in dict(ref.operators).get(TORCH, ()) if operators.is_native(name)]
    if not native or format_name not in torch_versions.THEIRS:
        return None
    said = operators.said(native)
    return f"the case's operators in C++ ({said}) are compiled for the torch that is installed, and it is of another"


def unsupported(runtime: Runtime, signature: Signature) -> str | None:
    """Why a runtime can't have the operators of its own that an artifact calls, and what to do; None where it can."""
    if not signature.calls:
        return None
    calls = ", ".join(signature.calls)
    kinds = _kinds(runtime)
    if not kinds:
        return f"the artifact calls {calls}, and {runtime.NAME} loads no operators of others"
    names = [name for kind in kinds for name in signature.extensions.get(kind, ())]
    if any(_serves(runtime, name) for name in names):
        return None
    kind = kinds[0]
    if not names:
        return (
            f"the artifact calls {calls}, and the case names nothing that registers it for {_FOR[kind]}: give a C++ "
            f"source or a library, operators=Operators({kind}=(…,)) ({_PAGE})"
        )
    given = operators.said(names)
    if MODULES in runtime.OPERATORS:
        return (
            f"the artifact calls {calls}, which the case registers in C++ ({given}), compiled for the torch that "
            f"exports, and {runtime.NAME} is another version"
        )
    return (
        f"the artifact calls {calls}, which the case registers in Python ({given}), and {runtime.NAME} runs no Python: "
        f"register it in C++, with TORCH_LIBRARY, and name the source or library in operators=Operators({kind}=(…,)) "
        f"({_PAGE})"
    )


def _kinds(runtime: Runtime) -> list[str]:
    """The fields of `Operators` that a runtime has a use for. Modules are in PyTorch's."""
    return [
        kind
        for kind in operators.KINDS
        if kind in runtime.OPERATORS or (kind == TORCH and MODULES in runtime.OPERATORS)
    ]


def _serves(runtime: Runtime, name: str) -> bool:
    """Whether a runtime loads what a name stands for."""
    native = any(kind in runtime.OPERATORS for kind in operators.KINDS)
    return native if operators.is_native(name) else MODULES in runtime.OPERATORS


def names(runtime: Runtime, signature: Signature) -> set[str]:
    """What a runtime loads for an artifact, as the case names it."""
    kinds = _kinds(runtime)
    return {name for kind in kinds for name in signature.extensions.get(kind, ()) if _serves(runtime, name)}


def may_call(signature: Signature) -> bool:
    """Whether an artifact may call operators that are no known package's."""
    return bool(signature.calls) or bool(set(signature.operators) - set(_PACKAGED))


def fields(
    runtime: Runtime, signature: Signature, request: Mapping[str, Any], cache: Path, path: Sequence[str], say: Progress
) -> dict[str, Any]:
    """What a `load` has besides for an artifact of a case with operators of its own. Raises StageFailure.

    request: what it has already. path: folders that case files import modules from.
    """
    libraries, modules = list(request.get("libraries", ())), []
    for kind in _kinds(runtime):
        names = [name for name in signature.extensions.get(kind, ()) if _serves(runtime, name)]
        modules += [name for name in names if not operators.is_native(name)]
        libraries += loadable(kind, [name for name in names if operators.is_native(name)], cache, say)
    found: dict[str, Any] = {"libraries": libraries} if libraries else {}
    known = request.get("path", ())
    return found | ({"modules": modules, "path": [*known, *path]} if modules else {})


def advice(signature: Signature, case_file: Path, message: str) -> str:
    """What to add to a case whose artifact a runtime refuses for an operator that nobody has registered; "" else."""
    if signature.extensions:
        return ""
    unknown = [name for name in signature.operators if re.search(rf"\b{re.escape(name)}::", message)]
    if not unknown:
        return ""
    return (
        f"{unknown[0]}::… are operators of your own, which no other process knows. Say in the case what registers "
        f'them: operators=Operators(torch=("{case_file.name}",)) for the Python file that does, or a C++ source with '
        f"TORCH_LIBRARY, which serves C++ runtimes, too ({_PAGE})."
    )
