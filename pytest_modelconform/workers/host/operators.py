"""Which packages' operators an artifact uses: a process that loads it has to register them first."""

from __future__ import annotations

import re
from typing import Any

import torch

# Part of torch itself.
BUILT_IN = {
    "aten",
    "prim",
    "prims",
    "quantized",
    "_caffe2",
    "onnx",
    "c10d",
    "higher_order",
    "static",
    "inductor",
    "profiler",
}


def of_script(module: Any) -> list[str]:
    """Namespaces of the operators in a ScriptModule; none for one without `forward` (a scripted nn.LSTM)."""
    if not hasattr(module, "inlined_graph"):
        return []
    found = set(re.findall(r"= (\w+)::", str(module.inlined_graph)))
    return sorted(found - BUILT_IN)


# Modules that register operators under another name than their own.
_REGISTERED_BY = {"quantized_decomposed": "torch.ao.quantization.fx._decomposed"}


def of_program(program: torch.export.ExportedProgram) -> list[str]:
    """Namespaces of the operators in an ExportedProgram, its subgraphs included."""
    found = set()
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            if node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload):
                found.add(node.target.namespace)
    return sorted(_REGISTERED_BY.get(name, name) for name in found - BUILT_IN)
