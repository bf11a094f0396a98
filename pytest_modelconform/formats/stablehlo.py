"""StableHLO: torchax makes a JAX function of an ExportedProgram, `jax.export` stores it with its weights.

`model.jax` is what `jax.export.deserialize` reads; `model.mlirbc` is the StableHLO module in it, for others;
`call.json` says how that module is called.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base import Signature, flat_signature
from .dropped_operators import Dropped, tolerated
from .program import EXPORT_OPTIONS as EXPORT_OPTIONS
from .program import exported, input_names

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from ..workers.host.build import Built

NAME = "stablehlo"
SUFFIXES = (".jax",)
REQUIRES = ("torch", "torchax", "jax")
# torchax renames a backend of torch's and switches a fast path off; 64-bit integers are a switch of the process's.
HOST = "jax"
FRAMEWORKS = {"torch": __name__, "jax": "pytest_modelconform.formats.frameworks.stablehlo_jax"}


def export(built: Built, folder: Path) -> Signature:
    """`torchax.export` and `jax.export.export`, in torchax's accuracy mode."""
    torchax = import_torchax()
    import jax
    import jax.export

    # 64-bit integers stay what they are, and products of matrices have float32's precision wherever they run.
    torchax.enable_accuracy_mode()
    program = exported(built)
    function, avals = as_jax(program)
    stored = jax.export.export(jax.jit(function, keep_unused=True), platforms=["cpu"])(*avals)
    names = input_names(program)
    outputs = [f"output.{i}" for i in range(len(stored.out_avals))]
    (folder / "model.jax").write_bytes(stored.serialize())
    (folder / "model.mlirbc").write_bytes(stored.mlir_module_serialized)
    (folder / "call.json").write_text(json.dumps(call_of(stored, names, outputs), indent=1))
    return flat_signature("model.jax", built, names, outputs, names)


def import_torchax() -> Any:
    """The package, with its tables freed of operators that this torch has dropped."""
    import torch

    with tolerated():
        import torchax
        import torchax.export

        torchax.default_env()  # imports the operators
    decompositions = torchax.export.decompositions.DECOMPOSITIONS
    for key in [key for key in decompositions if isinstance(key, Dropped)]:
        del decompositions[key]
    # As its import does. The host puts it back between cases, and an import happens once.
    torch.backends.mha.set_fastpath_enabled(False)
    return torchax


def as_jax(program: ExportedProgram) -> tuple[Callable[..., list[Any]], list[Any]]:
    """A JAX function of the program's input tensors that returns its output tensors, and the inputs' shapes.

    The weights are constants of the function.
    """
    import torchax.export
    from torch.export.graph_signature import InputKind, OutputKind, TensorArgument

    weights, function = torchax.export.exported_program_to_jax(program)
    given = [spec.arg for spec in program.graph_signature.input_specs if spec.kind == InputKind.USER_INPUT]
    returned = [spec.arg for spec in program.graph_signature.output_specs if spec.kind == OutputKind.USER_OUTPUT]

    def call(*tensors: Any) -> list[Any]:
        left = iter(tensors)
        # Constants of the call are arguments of the graph like any other.
        arguments = [next(left) if isinstance(arg, TensorArgument) else arg.value for arg in given]
        results = function(weights, tuple(arguments))
        # What the program writes to comes first.
        results = results[len(results) - len(returned) :]
        return [value for value, arg in zip(results, returned, strict=True) if isinstance(arg, TensorArgument)]

    return call, avals_of(program)


def avals_of(program: ExportedProgram) -> list[Any]:
    """Shape and dtype of each input tensor, with the program's dynamic dimensions and their bounds.

    torchax has such a function, which gives each dimension a scope of its own; jax.export refuses programs with more
    than one.
    """
    import jax
    import jax.export
    import torch
    from torchax.ops.mappings import t2j_dtype

    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    tensors = [nodes[name].meta["val"] for name in input_names(program)]
    symbols: dict[Any, str] = {}
    for tensor in tensors:
        for length in tensor.shape:
            if isinstance(length, torch.SymInt):
                for symbol in length.node.expr.free_symbols:
                    symbols[symbol] = str(symbol)
    constraints = []
    for symbol, name in symbols.items():
        bounds = program.range_constraints[symbol]
        # torch.export writes 0 or 2 where nobody gave a bound; to JAX a length is at least 1.
        if bounds.lower > 2:
            constraints.append(f"{name} >= {bounds.lower}")
        if bounds.upper < 2**31:
            constraints.append(f"{name} <= {bounds.upper}")
    scope = jax.export.SymbolicScope(constraints)
    avals = []
    for tensor in tensors:
        said = ", ".join(
            str(length.node.expr if isinstance(length, torch.SymInt) else length) for length in tensor.shape
        )
        shape = jax.export.symbolic_shape(said, scope=scope) if symbols else tuple(tensor.shape)
        avals.append(jax.ShapeDtypeStruct(shape, t2j_dtype(tensor.dtype)))
    return avals


def call_of(stored: Any, inputs: Sequence[str], outputs: Sequence[str]) -> dict[str, Any]:
    """How the module of a `jax.export.Exported` is called; dynamic lengths are JAX's expressions, as strings."""

    def described(names: Sequence[str], avals: Sequence[Any]) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "dtype": aval.dtype.name,
                "shape": [length if isinstance(length, int) else str(length) for length in aval.shape],
            }
            for name, aval in zip(names, avals, strict=True)
        ]

    return {
        "calling_convention_version": stored.calling_convention_version,
        "platforms": list(stored.platforms),
        "function": stored.fun_name,
        "kept": list(stored.module_kept_var_idx),
        "inputs": described(inputs, stored.in_avals),
        "outputs": described(outputs, stored.out_avals),
    }
