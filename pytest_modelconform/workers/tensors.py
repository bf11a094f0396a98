"""Read and write the wire's tensor files. Standard library only, Python 3.8: no numpy, no torch.

A file is safetensors (8 bytes of header length, JSON header, data) with what that format can't say in its metadata; see
"Tensor files" in docs/architecture.md. Arrays of numpy or torch are made from `Tensor` by the modules beside this one.
"""

import json
import mmap
import os
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple, Union

Buffer = Union[bytes, memoryview]

METADATA = "modelconform"
LARGEST_HEADER = 100_000_000

# PyTorch's name of a dtype -> (name in the file, bytes an element there, further elements an element).
DTYPES: Dict[str, Tuple[str, int, int]] = {
    "bool": ("BOOL", 1, 1),
    "uint8": ("U8", 1, 1),
    "int8": ("I8", 1, 1),
    "uint16": ("U16", 2, 1),
    "int16": ("I16", 2, 1),
    "uint32": ("U32", 4, 1),
    "int32": ("I32", 4, 1),
    "uint64": ("U64", 8, 1),
    "int64": ("I64", 8, 1),
    "float16": ("F16", 2, 1),
    "bfloat16": ("BF16", 2, 1),
    "float32": ("F32", 4, 1),
    "float64": ("F64", 8, 1),
    "complex64": ("F32", 4, 2),
    "complex128": ("F64", 8, 2),
    "float8_e4m3fn": ("U8", 1, 1),
    "float8_e5m2": ("U8", 1, 1),
}
PLAIN = {stored: name for name, (stored, _, pairs) in DTYPES.items() if pairs == 1 and "float8" not in name}


class TensorFileError(ValueError):
    """A tensor file that is malformed; the message names the file and the fault."""


class Tensor(NamedTuple):
    """Bytes of one tensor, row-major.

    order: dimensions from the slowest to the fastest stride, or None for a row-major tensor.
    """

    dtype: str
    shape: Tuple[int, ...]
    data: Buffer
    order: Optional[Tuple[int, ...]] = None


def size(dtype: str, shape: Sequence[int]) -> int:
    """Bytes of a tensor in a file."""
    _, width, pairs = DTYPES[dtype]
    total = width * pairs
    for length in shape:
        total *= length
    return total


def write(path: str, tensors: Dict[str, Tensor]) -> None:
    """Write a tensor file. Raises KeyError for a dtype that the wire doesn't know."""
    header: Dict[str, Any] = {}
    extra: Dict[str, Dict[str, Any]] = {}
    offset = 0
    for key, tensor in tensors.items():
        stored, _, pairs = DTYPES[tensor.dtype]
        expected = size(tensor.dtype, tensor.shape)
        length = tensor.data.nbytes if isinstance(tensor.data, memoryview) else len(tensor.data)
        if length != expected:
            raise TensorFileError("%s: tensor %r has %d bytes, its shape needs %d" % (path, key, length, expected))
        shape = list(tensor.shape) + ([2] if pairs == 2 else [])
        header[key] = {"dtype": stored, "shape": shape, "data_offsets": [offset, offset + expected]}
        offset += expected
        more: Dict[str, Any] = {}
        if PLAIN.get(stored) != tensor.dtype:
            more["dtype"] = tensor.dtype
        if tensor.order is not None:
            more["order"] = list(tensor.order)
        if more:
            extra[key] = more
    if extra:
        header["__metadata__"] = {METADATA: json.dumps(extra)}
    text = json.dumps(header).encode("utf-8")
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for tensor in tensors.values():
            file.write(tensor.data)


def read(path: str) -> Dict[str, Tensor]:
    """All tensors of a file; their data are views into a memory map. Raises TensorFileError for a malformed file."""
    with open(path, "rb") as file:
        total = os.fstat(file.fileno()).st_size
        if total < 8:
            raise TensorFileError("%s: %d bytes are no tensor file" % (path, total))
        length = int.from_bytes(file.read(8), "little")
        if length > min(total - 8, LARGEST_HEADER):
            raise TensorFileError("%s: a header of %d bytes in a file of %d" % (path, length, total))
        try:
            header = json.loads(file.read(length).decode("utf-8"))
            extra = json.loads(header.pop("__metadata__", {}).get(METADATA, "{}"))
        except (ValueError, AttributeError, TypeError) as error:
            raise TensorFileError("%s: the header is not the expected JSON: %s" % (path, error)) from None
        whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))[8 + length :]
    try:
        return {key: _tensor(entry, extra.get(key, {}), whole) for key, entry in header.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise TensorFileError("%s: %s" % (path, error)) from None


def _tensor(entry: Dict[str, Any], more: Dict[str, Any], whole: memoryview) -> Tensor:
    stored, shape = entry["dtype"], tuple(entry["shape"])
    begin, end = entry["data_offsets"]
    if stored not in PLAIN:
        raise ValueError("unknown dtype %r" % stored)
    dtype = more.get("dtype", PLAIN[stored])
    if dtype not in DTYPES or DTYPES[dtype][0] != stored:
        raise ValueError("a %s tensor can't hold %r" % (stored, dtype))
    if any(not isinstance(length, int) or length < 0 for length in shape):
        raise ValueError("impossible shape %r" % (shape,))
    if DTYPES[dtype][2] == 2:
        if not shape or shape[-1] != 2:
            raise ValueError("complex tensor without a last dimension of 2: %r" % (shape,))
        shape = shape[:-1]
    if not 0 <= begin <= end <= len(whole) or end - begin != size(dtype, shape):
        raise ValueError("offsets %r do not fit shape %r of %s" % ([begin, end], shape, dtype))
    order = more.get("order")
    if order is not None and sorted(order) != list(range(len(shape))):
        raise ValueError("order %r is no permutation of %d dimensions" % (order, len(shape)))
    return Tensor(dtype, shape, whole[begin:end], None if order is None else tuple(order))
