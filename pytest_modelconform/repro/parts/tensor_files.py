"""Reads the inputs and expected outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
NUMPY = {"BOOL": "bool", "BF16": "bfloat16", **{f"F{n}": f"float{n}" for n in (16, 32, 64)}}
NUMPY |= {f"{kind[0].upper()}{n}": f"{kind}{n}" for kind in ("int", "uint") for n in (8, 16, 32, 64)}


def read(name: str) -> dict[str, Any]:
    """The arrays in a safetensors file. Its metadata say what that format can't: complex numbers, order of strides."""
    data = (HERE / name).read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    extra = json.loads(header.pop("__metadata__", {}).get("modelconform", "{}"))
    found = {}
    for key, entry in header.items():
        more = extra.get(key, {})
        start, end = entry["data_offsets"]
        dtype = more.get("dtype") or NUMPY[entry["dtype"]]
        if dtype.startswith(("bfloat16", "float8")):
            import ml_dtypes  # noqa: F401  # numpy knows these dtypes from then on
        shape = entry["shape"][:-1] if dtype.startswith("complex") else entry["shape"]
        array = np.frombuffer(bytearray(data[begin + start : begin + end]), np.dtype(dtype)).reshape(shape)
        if "order" in more:
            array = np.ascontiguousarray(array.transpose(more["order"])).transpose(np.argsort(more["order"]))
        found[key] = array
    return found
