"""numpy to PyTorch and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


def to_torch(array: Any) -> torch.Tensor:
    """A tensor on the array's memory; bfloat16 and float8, which torch doesn't take from numpy, by their bits."""
    if array.dtype.kind == "V" or not array.dtype.isbuiltin:
        return torch.from_numpy(array.view(f"i{array.itemsize}")).view(getattr(torch, array.dtype.name))
    return torch.from_numpy(array)


def to_numpy(tensor: torch.Tensor) -> Any:
    """The tensor's numbers."""
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype == "bfloat16" or dtype.startswith("float8"):
        import ml_dtypes

        bits = torch.uint8 if dtype.startswith("float8") else torch.int16
        return tensor.contiguous().view(bits).numpy().view(np.dtype(getattr(ml_dtypes, dtype)))
    return tensor.numpy()


def leaves(value: Any, name: str = "output") -> dict[str, Any]:
    """The tensors in what a model returns, by their places."""
    if isinstance(value, torch.Tensor):
        return {name: to_numpy(value)}
    if isinstance(value, (bool, int, float)):
        return {name: to_numpy(torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None))}
    if hasattr(value, "__dataclass_fields__"):
        value = {key: getattr(value, key) for key in value.__dataclass_fields__}
    node = torch.utils._pytree.SUPPORTED_NODES.get(type(value))
    if node is not None and not isinstance(value, (dict, list, tuple)):
        if node.flatten_with_keys_fn is None:
            value = dict(enumerate(node.flatten_fn(value)[0]))
        else:
            value = {str(key).strip("[].'"): entry for key, entry in node.flatten_with_keys_fn(value)[0]}
    pairs = value.items() if hasattr(value, "items") else enumerate(value if isinstance(value, (list, tuple)) else ())
    return {path: leaf for key, entry in pairs for path, leaf in leaves(entry, f"{name}/{key}").items()}
