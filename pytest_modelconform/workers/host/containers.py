"""Which classes of packages hold an ExportedProgram's tensors: a process that loads it has to import these first.

Models of transformers and diffusers return such a class unless told otherwise (`BaseModelOutput`). The program's file
has its name only, and PyTorch refuses to read it where nothing has registered the class.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import torch

from .cases import PACKAGE

# What a function registers, and not the import: by module and class.
_BY_FUNCTION = {
    ("transformers.cache_utils", "DynamicCache"): (
        "transformers.integrations.executorch:register_dynamic_cache_export_support"
    )
}
# What every process with torch in it has registered.
_KNOWN = {"builtins", "collections", "torch"}


def signed(program: torch.export.ExportedProgram) -> dict[str, Any]:
    """What a signature says of a program's containers: `containers` and a note; {} where there is none.

    Those are modules to import, some with a function to call, "module:function".

    A case file's own classes are no matter of it: nobody else can import them.
    """
    classes: dict[str, str] = {}
    for spec in (program.call_spec.in_spec, program.call_spec.out_spec):
        for kind in _kinds(spec) if spec is not None else ():
            module = getattr(kind, "__module__", "builtins")
            if module.partition(".")[0] not in {*_KNOWN, PACKAGE}:
                classes.setdefault(_BY_FUNCTION.get((module, kind.__name__), module), kind.__name__)
    if not classes:
        return {}
    imports = "; ".join(map(_statement, sorted(classes)))
    names = ", ".join(classes[module] for module in sorted(classes))
    # In C++ a package of AOTInductor takes and gives tensors alone.
    note = f"to load it in Python, `{imports}` first, which registers {names}; or have the model return a tuple"
    return {"containers": sorted(classes), "notes": [note]}


def _statement(registers: str) -> str:
    module, _, function = registers.partition(":")
    return f"from {module} import {function}; {function}()" if function else f"import {module}"


def _kinds(spec: Any) -> Iterator[Any]:
    # PyTorch has one kind for all named tuples.
    yield spec.context if spec.type is namedtuple else spec.type
    for child in spec.children():
        yield from _kinds(child)
