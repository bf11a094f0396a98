"""Read and write the wire's tensor files. Standard library only, Python 3.8: no numpy, no torch.

A file is safetensors (8 bytes of header length, JSON header, data) with what that format can't say in its metadata; see
"Tensor files" in docs/architecture.md. Arrays of numpy or torch are made from `Tensor` by the modules beside this one.
"""

import json
import mmap
import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

Buffer = Union[bytes, memoryview]

METADATA = "modelconform"
LARGEST_HEADER = 100_000_000
DEEPEST = 16  # header, tensor, shape: 3 are needed

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
# Names that newer files may use for what we store under another one.
OWN = {"C64": "complex64", "C128": "complex128", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}
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
    """All tensors of a file; their data are views into a memory map. Raises TensorFileError for a malformed file.

    What is refused is refused by the C++ reader (cpp/library/safetensors.cpp), too, and the other way round.
    """
    with open(path, "rb") as file:
        total = os.fstat(file.fileno()).st_size
        if total < 8:
            raise TensorFileError("%s: %d bytes are not a tensor file" % (path, total))
        length = int.from_bytes(file.read(8), "little")
        if length > min(total - 8, LARGEST_HEADER):
            raise TensorFileError("%s: a header of %d bytes in a file of %d" % (path, length, total))
        try:
            header = _object(file.read(length).decode("utf-8"))
            metadata = header.pop("__metadata__", {})
            if not isinstance(metadata, dict):
                raise ValueError("__metadata__ isn't an object")
            extra = _object(metadata.get(METADATA, "{}"))
        except (ValueError, TypeError, RecursionError) as error:
            raise TensorFileError("%s: the header is not the expected JSON: %s" % (path, error)) from None
        whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))[8 + length :]
    try:
        for key, more in extra.items():
            if key not in header or not isinstance(more, dict):
                raise ValueError("metadata of %r, which isn't one of its tensors, or isn't an object: %r" % (key, more))
        found = {key: _tensor(entry, extra.get(key, {}), whole) for key, entry in header.items()}
        _check_covering([entry["data_offsets"] for entry in header.values()], len(whole))
    except (KeyError, TypeError, ValueError) as error:
        raise TensorFileError("%s: %s" % (path, error)) from None
    return found


def _object(text: Any) -> Dict[str, Any]:
    """An object in JSON. What parsers read differently is refused: keys given twice, NaN, halves of characters."""
    if not isinstance(text, str) or not text.startswith("{"):
        raise ValueError("it doesn't begin with {")
    found: Dict[str, Any] = json.loads(
        text, object_pairs_hook=_once, parse_constant=_no_constant, parse_int=_integer, parse_float=_finite
    )
    todo: List[Tuple[Any, int]] = [(found, 1)]
    while todo:
        value, depth = todo.pop()
        if isinstance(value, str):
            value.encode("utf-8")
        elif isinstance(value, (dict, list)):
            if depth > DEEPEST:
                raise ValueError("it is nested deeper than %d" % DEEPEST)
            items = list(value) + list(value.values()) if isinstance(value, dict) else value
            todo += [(item, depth + 1) for item in items]
    return found


def _once(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice among %r" % ([key for key, _ in pairs],))
    return found


def _no_constant(text: str) -> Any:
    raise ValueError("%s isn't JSON" % text)


def _integer(text: str) -> Union[int, float]:
    _finite(text)
    return -0.0 if text == "-0" else int(text)  # not a size, whoever reads it


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise ValueError("a number that is too large")
    return value


def _sizes(entry: Dict[str, Any], field: str) -> List[int]:
    """A list of sizes. `type`, since a bool is an int, too."""
    values = entry[field]
    if not isinstance(values, list) or any(type(value) is not int or not 0 <= value < 2**63 for value in values):
        raise ValueError("impossible %s %r" % (field, values))
    return values


def _tensor(entry: Dict[str, Any], more: Dict[str, Any], whole: memoryview) -> Tensor:
    if not isinstance(entry, dict):
        raise ValueError("a tensor isn't an object: %r" % (entry,))
    stored, shape = entry["dtype"], tuple(_sizes(entry, "shape"))
    offsets = _sizes(entry, "data_offsets")
    if stored not in PLAIN and stored not in OWN:
        raise ValueError("unknown dtype %r" % (stored,))
    dtype = PLAIN.get(stored) or OWN[stored]
    if "dtype" in more:
        dtype = more["dtype"]
        if dtype not in DTYPES or DTYPES[dtype][0] != stored:
            raise ValueError("a %s tensor can't hold %r" % (stored, dtype))
        if DTYPES[dtype][2] == 2:
            if not shape or shape[-1] != 2:
                raise ValueError("complex tensor without a last dimension of 2: %r" % (shape,))
            shape = shape[:-1]
    # Dimensions of 0 count as 1, so that strides fit into 64 bits, too.
    most = size(dtype, ())
    for length in shape:
        most *= max(length, 1)
        if most >= 2**63:
            raise ValueError("shape %r of %s overflows" % (shape, dtype))
    if len(offsets) != 2 or not offsets[0] <= offsets[1] <= len(whole) or offsets[1] - offsets[0] != size(dtype, shape):
        raise ValueError("offsets %r do not fit shape %r of %s" % (offsets, shape, dtype))
    order = None
    if "order" in more:
        order = tuple(_sizes(more, "order"))
        if sorted(order) != list(range(len(shape))):
            raise ValueError("order %r isn't a permutation of %d dimensions" % (list(order), len(shape)))
    return Tensor(dtype, shape, whole[offsets[0] : offsets[1]], order)


def _check_covering(ranges: List[List[int]], total: int) -> None:
    """Each byte belongs to one tensor: an overlap or a hole is a sign of a broken writer."""
    last = 0
    for begin, end in sorted(ranges):
        if begin != last:
            what = "belong to two tensors" if begin < last else "belong to no tensor"
            raise ValueError("bytes %d to %d of the data %s" % (min(begin, last), max(begin, last), what))
        last = end
    if last != total:
        raise ValueError("the last %d bytes of the data belong to no tensor" % (total - last))
