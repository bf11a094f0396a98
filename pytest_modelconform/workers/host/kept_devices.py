"""Devices that an artifact keeps, wherever it is loaded."""

from __future__ import annotations

import re
from typing import Any

# As TorchScript writes it: %12 : Device = prim::Constant[value="cpu"]() # /tmp/model.py:12:0
_CONSTANT = re.compile(r"(%[\w.]+) : Device = prim::Constant\[value=\"([\w:]+)\"\]")
_LOCATION = re.compile(r"# (?:.*/)?([^/:]+:\d+):\d+\s*$")
_OPERATOR = re.compile(r" = (\w+::\w+)")


def of_script(module: Any) -> list[str]:
    """Where a ScriptModule names a device, as "cuda:0 (aten::arange, a.py:7)".

    `torch.jit.load` moves parameters, buffers and constant tensors to the device that it is asked for, but not these: a
    trace records `device=x.device` as the device that x had. Devices that only decide where a tensor goes that is there
    already (`aten::to`) count, too.
    """
    if not hasattr(module, "inlined_graph"):
        return []
    lines = str(module.inlined_graph).splitlines()
    devices = {match[1]: match[2] for line in lines for match in _CONSTANT.finditer(line)}
    found: dict[str, None] = {}
    for line in lines:
        _, _, call = line.partition(" = ")
        operator = _OPERATOR.search(line)
        if operator is None or operator[1].startswith("prim::Constant"):
            continue
        location = _LOCATION.search(line)
        where = ", ".join([operator[1], *([location[1]] if location else [])])
        for name in re.findall(r"%[\w.]+", call):
            if name in devices:
                found[f"{devices[name]} ({where})"] = None
    return list(found)
