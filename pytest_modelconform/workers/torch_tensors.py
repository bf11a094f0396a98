"""torch tensors from and to the wire's tensors, and trees of them. For the workers that have torch."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch.utils import _pytree

from . import tensors
from .loop import WorkerError
from .tensors import Tensor

Tree = dict[str, Any]


def to_torch(tensor: Tensor, device: str = "cpu") -> torch.Tensor:
    """A fresh torch tensor with the strides' order of the wire's."""
    dtype: torch.dtype = getattr(torch, tensor.dtype)
    # The copy makes it writable and aligned, and lets go of the file.
    flat = torch.frombuffer(bytearray(tensor.data), dtype=torch.uint8) if len(tensor.data) else torch.empty(0)
    value = flat.view(dtype).reshape(tensor.shape) if len(tensor.data) else torch.empty(tensor.shape, dtype=dtype)
    if tensor.order is not None:
        inverse = [tensor.order.index(axis) for axis in range(len(tensor.order))]
        value = value.permute(tensor.order).contiguous().permute(inverse)
    return value.to(device)


def from_torch(value: torch.Tensor) -> Tensor:
    """The wire's tensor of a dense torch tensor on any device. Raises WorkerError for what the wire doesn't carry."""
    # bytes(): a copy, since a model may hand out a buffer that its next run overwrites; and bytes compare by memcmp.
    found = view_of(value)
    return found._replace(data=bytes(found.data))


def view_of(value: torch.Tensor) -> Tensor:
    """The same, on the tensor's own memory where that is row-major: for weights, which may take gigabytes."""
    name = str(value.dtype).removeprefix("torch.")
    if value.layout != torch.strided or value.is_quantized or name not in tensors.DTYPES:
        raise WorkerError(
            f"a tensor of dtype {name} and layout {value.layout} can't be sent; dense ones of these can: "
            + ", ".join(tensors.DTYPES)
        )
    value = value.detach().resolve_conj().resolve_neg().cpu()
    flat: Any = _bytes_of(value).numpy() if value.numel() else b""
    data = memoryview(flat)
    return Tensor(name, tuple(value.shape), data, order_of(value))


def order_of(value: torch.Tensor) -> tuple[int, ...] | None:
    """Dimensions from the slowest to the fastest stride; None for a row-major tensor."""
    if value.is_contiguous():
        return None
    order = tuple(sorted(range(value.dim()), key=lambda axis: (-value.stride()[axis], axis)))
    return None if order == tuple(range(value.dim())) else order


def encode(
    value: Any, key: Callable[[str], str], out: dict[str, Tensor], path: str = "", constants: bool = False
) -> Tree:
    """The tree of a nest of tensors; the tensors go into `out` under `key(path)`.

    constants: whether numbers and bools stay constants (inputs) or become tensors without dimensions (outputs). Among
    outputs an object of a class that is registered as a pytree's node is a dict: no call has to be made of it.
    Raises WorkerError for an object that has no place in a tree.
    """
    if value is None:
        return {"none": True}
    if isinstance(value, (bool, int, float)) and not constants:
        value = torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None)
    if isinstance(value, torch.Tensor):
        name = key(path)
        out[name] = from_torch(value)
        return {"tensor": name}
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, (bool, int, str)):
        return {"value": value}
    if isinstance(value, Mapping):
        if any(not isinstance(k, (str, int)) for k in value):
            raise WorkerError(
                f"a dict with keys other than strings and integers has no place in a tree: {list(value)[:5]}"
            )
        return {"dict": [[k, encode(v, key, out, f"{path}/{k}", constants)] for k, v in value.items()]}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
        return {"dict": [[k, encode(v, key, out, f"{path}/{k}", constants)] for k, v in items]}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [encode(v, key, out, f"{path}/{i}", constants) for i, v in enumerate(value)]}
    if not constants and (children := _registered(value)) is not None:
        return {"dict": [[k, encode(v, key, out, f"{path}/{k}")] for k, v in children]}
    where = f"{path.removeprefix('/')}: " if path else ""
    hint = " (torch.as_tensor makes a tensor of it)" if type(value).__module__ == "numpy" else ""
    raise WorkerError(
        f"{where}a {type(value).__module__}.{type(value).__qualname__} has no place in inputs or outputs: tensors, "
        f"numbers, strings, None, and lists, tuples, dicts and dataclasses of them have{hint}"
    )


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Yield (path, tensor) of what `encode` takes, in its order."""
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, Mapping):
        for k, v in value.items():
            yield from leaves(v, f"{path}/{k}")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for f in dataclasses.fields(value):
            yield from leaves(getattr(value, f.name), f"{path}/{f.name}")
    elif isinstance(value, (list, tuple)):
        for i, v in enumerate(value):
            yield from leaves(v, f"{path}/{i}")
    elif (children := _registered(value)) is not None:
        for k, v in children:
            yield from leaves(v, f"{path}/{k}")


def _registered(value: Any) -> list[tuple[str | int, Any]] | None:
    """The parts of an object whose class is registered as a pytree's node, by name or place; None for any other."""
    node = _pytree.SUPPORTED_NODES.get(type(value))
    if node is None:
        return None
    if node.flatten_with_keys_fn is None:
        return list(enumerate(node.flatten_fn(value)[0]))
    named, _ = node.flatten_with_keys_fn(value)
    # A key of a mapping, an index of a sequence, or an attribute's name.
    fields = ("key", "idx", "name")
    return [(next(getattr(k, field) for field in fields if hasattr(k, field)), v) for k, v in named]


def decode(tree: Tree, get: Callable[[str], torch.Tensor]) -> Any:
    """The nest that a tree stands for; `get` returns the tensor of a key. Raises WorkerError for no tree."""
    kind, content = next(iter(tree.items()))
    if kind == "tensor":
        return get(content)
    if kind == "none":
        return None
    if kind == "value":
        return content
    if kind == "float":
        return float.fromhex(content)
    if kind == "list":
        return [decode(item, get) for item in content]
    if kind == "tuple":
        return tuple(decode(item, get) for item in content)
    if kind == "dict":
        return {name: decode(item, get) for name, item in content}
    raise WorkerError(f"unknown kind of tree: {kind!r}")


def release_memory(device: str) -> None:
    """Give an accelerator back what nothing holds any more: PyTorch keeps it, and other processes could use it."""
    if device != "cpu" and torch.accelerator.is_available():
        gc.collect()  # programs are in cycles
        torch.accelerator.empty_cache()


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors have the same dtype, shape and bytes (NaN equals NaN, 0 differs from -0)."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.numel() == 0:
        return True
    first, second = (_bytes_of(x.detach().cpu()) for x in (a, b))
    return torch.equal(first, second)


def _bytes_of(value: torch.Tensor) -> torch.Tensor:
    """The bytes of a tensor in row-major order, without a copy where its memory has that order."""
    # A single element counts as contiguous whatever its strides, keeps them when flattened, and has no bytes with them.
    return value.contiguous().as_strided((value.numel(),), (1,)).view(torch.uint8)
