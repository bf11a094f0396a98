"""What there is to say of a program's operators."""

from __future__ import annotations

import linecache
import os
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.utils._pytree import tree_leaves

from . import graph

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<where>[^\n]*)(?:\n\s*(?P<source>[^\n]*))?')
_OWN = os.path.dirname(os.path.realpath(torch.__file__)) + os.sep


def described(module: GraphModule, values: Mapping[Node, Any]) -> list[dict[str, Any]]:
    """The fields of each `Operator` of a program, `results` and `constant`.

    results: how many tensors it gives as an output. constant: whether it depends on weights alone. values: what each
    node is for the exporters' input set.
    """
    depends = dependent(module)
    return [_one(node, values, depends) for node in module.graph.nodes if graph.is_operator(node)]


def dependent(module: GraphModule) -> set[Node]:
    """The nodes that depend on an input, be it on its size alone."""
    found: set[Node] = set()
    for node in module.graph.nodes:
        if node.op == "placeholder" or any(each in found for each in node.all_input_nodes):
            found.add(node)
    return found


def _one(node: Node, values: Mapping[Node, Any], depends: set[Node]) -> dict[str, Any]:
    path, kind = module_of(node)
    file, line, source = place_of(node)
    results = graph.results(node)
    tensors = [values[result] for result in results if isinstance(values.get(result), torch.Tensor)]
    floating = [t for t in tensors if t.is_floating_point() or t.is_complex()]
    takes = []
    inputs = []
    for each in node.all_input_nodes:
        if each.op == "get_attr" or not isinstance(values.get(each), torch.Tensor):
            continue
        inputs.append(said(values[each]))
        name = graph.operator_of(each).name
        if name not in takes:
            takes.append(name)
    return {
        "name": node.name,
        "target": target_of(node),
        "call": call_of(node),
        "takes": takes,
        "inputs": inputs,
        "returns": [said(leaf) for leaf in tree_leaves(values.get(node)) if isinstance(leaf, torch.Tensor)],
        "module": path,
        "kind": kind,
        "file": file,
        "line": line,
        "source": source,
        "comparable": bool(results) and len(floating) == len(tensors) > 0 and node in depends,
        "results": len(results),
        "constant": node not in depends,
    }


def target_of(node: Node) -> str:
    """An operator's name: "aten.conv2d.default"."""
    return str(node.target) if hasattr(node.target, "_schema") else getattr(node.target, "__name__", str(node.target))


def said(tensor: torch.Tensor) -> str:
    """A tensor as one reads it: "float32[1, 64, 56, 56]"."""
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


def call_of(node: Node) -> str:
    """An operator's call as one reads it: "aten.avg_pool2d(relu_4, [3, 3], [2, 2], ceil_mode=True)"."""
    packet = getattr(node.target, "overloadpacket", None)
    name = str(packet) if packet is not None else target_of(node)
    given = [_argument(value) for value in node.args]
    given += [f"{key}={_argument(value)}" for key, value in node.kwargs.items()]
    return f"{name}({', '.join(given)})"


def _argument(value: Any) -> str:
    if isinstance(value, Node):
        return str(value.target) if value.op == "get_attr" else value.name
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_argument, value))}]"
    return str(value) if isinstance(value, (torch.dtype, torch.device)) else repr(value)


def module_of(node: Node) -> tuple[str, str]:
    """Path and class of the innermost submodule that calls an operator; "" for the model itself."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if not stack:
        return "", ""
    path, kind = stack[-1]
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
    return str(path).removeprefix("L['self']").lstrip("."), name.rpartition(".")[2]


def place_of(node: Node) -> tuple[str, int, str]:
    """File, line and text of the innermost code outside of PyTorch that calls an operator; ("", 0, "") for none."""
    frames = list(_FRAME.finditer(node.meta.get("stack_trace") or ""))
    for frame in reversed(frames):
        file, line = frame["file"], int(frame["line"])
        if file.startswith("<") or not os.path.isabs(file) or os.path.realpath(file).startswith(_OWN):
            continue
        return file, line, (frame["source"] or linecache.getline(file, line)).strip()
    return "", 0, ""
