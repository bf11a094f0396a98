"""Tensor files, right and malformed: what every reader of them takes, and what it refuses."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any


def tensor_file(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """A file of a header, as JSON or as it is, and data; `length` is what it announces where that is wrong."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: object = "F32", shape: object = (1,), offsets: object = (0, 4)) -> dict[str, object]:
    """A tensor in a header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def one(dtype: object = "F32", shape: object = (1,), offsets: object = (0, 4), size: int = 4) -> bytes:
    """A file of one tensor."""
    return tensor_file({"x": entry(dtype, shape, offsets)}, bytes(range(size)))


def extras(more: object, dtype: str = "F32", shape: object = (1,), size: int = 4) -> bytes:
    """A file of one tensor, and what our metadata say of it."""
    metadata = {"modelconform": more if isinstance(more, str) else json.dumps(more)}
    return tensor_file({"__metadata__": metadata, "x": entry(dtype, shape, (0, size))}, bytes(range(size)))


def nested(depth: int) -> bytes:
    """A file whose tensor has a field that nobody knows, `depth` lists deep."""
    field = b"[" * depth + b"]" * depth
    text = b'{"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "more": ' + field + b"}}"
    return tensor_file(text, bytes(4))


def text(shape: bytes, more: bytes = b"", size: int = 4) -> bytes:
    """A file of one tensor, in JSON that json.dumps would not write."""
    head = b'{"x": {"dtype": "F32", "shape": ' + shape + b', "data_offsets": [0, %d]' % size
    return tensor_file(head + more + b"}}", bytes(size))


WIDTHS = {"BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "U32": 4, "I32": 4, "U64": 8, "I64": 8, "BF16": 2, "F64": 8}
ENTRY = json.dumps(entry()).encode()

RIGHT: dict[str, bytes] = {
    "no tensor": tensor_file({}),
    "one": one(),
    "no dimensions": one(shape=()),
    "no elements": one(shape=(0,), offsets=(0, 0), size=0),
    "no elements, large": one(shape=(0, 2**60), offsets=(0, 0), size=0),
    "no elements between others": tensor_file(
        {"x": entry(), "y": entry(shape=(0,), offsets=(4, 4)), "z": entry(offsets=(4, 8))}, bytes(range(8))
    ),
    "not in order": tensor_file({"x": entry(offsets=(4, 8)), "y": entry()}, bytes(range(8))),
    "spaces": tensor_file(b'{"x" : {"dtype":"F32" ,"shape":[ 1],\t"data_offsets":[0,4]}}\r\n   ', bytes(4)),
    "other metadata": tensor_file({"__metadata__": {"format": "pt"}, "x": entry()}, bytes(4)),
    "metadata of other kinds": tensor_file({"__metadata__": {"a": [1, {"b": None}]}, "x": entry()}, bytes(4)),
    "unknown fields": tensor_file({"x": {**entry(), "more": {"a": [1.5, -3, True]}}}, bytes(4)),
    "nested as deep as may be": nested(14),
    "a key of other characters": tensor_file({"\u00e9\U0001f600/0": entry()}, bytes(4)),
    "an empty key": tensor_file({"": entry()}, bytes(4)),
    "complex64": extras({"x": {"dtype": "complex64"}}, shape=(3, 2), size=24),
    "complex64 by its own name": one("C64", (3,), (0, 24), 24),
    "complex128 by its own name": one("C128", (1,), (0, 16), 16),
    "float8": extras({"x": {"dtype": "float8_e4m3fn"}}, "U8", (4,)),
    "float8 by its own name": one("F8_E4M3", (4,)),
    "float8_e5m2 by its own name": one("F8_E5M2", (4,)),
    "an order": extras({"x": {"order": [1, 0]}}, shape=(2, 3), size=24),
    "the order of no dimensions": extras({"x": {"order": []}}, shape=()),
    "the dtype that it has": extras({"x": {"dtype": "float32"}}),
    "no extras": extras({}),
    "extras that say nothing": extras({"x": {}}),
    **{dtype: one(dtype, (3,), (0, 3 * width), 3 * width) for dtype, width in WIDTHS.items()},
}

MALFORMED: dict[str, bytes] = {
    # The file.
    "empty": b"",
    "half a length": b"1234567",
    "a length alone": struct.pack("<Q", 0),
    "a length and nothing": struct.pack("<Q", 10),
    "longer than the file": tensor_file({}, length=100),
    "longer than allowed": tensor_file({}, length=100_000_001),
    "huge": tensor_file({}, length=2**63),
    "all ones": b"\xff" * 8,
    "shorter than its JSON": tensor_file({"x": entry()}, bytes(4), length=20),
    "longer than its JSON": tensor_file({"x": entry()}, b"abcd", length=len(json.dumps({"x": entry()})) + 2),
    # The JSON.
    "nonsense": tensor_file(b"{nonsense"),
    "a list": tensor_file([]),
    "a number": tensor_file(1),
    "null": tensor_file(None),
    "two objects": tensor_file(b"{}{}"),
    "a comma too many": tensor_file(b'{"x": 1,}'),
    "single quotes": tensor_file(b"{'x': 1}"),
    "a comment": tensor_file(b"{} // all"),
    "spaces before it": tensor_file(b" {}"),
    "a byte order mark": tensor_file(b"\xef\xbb\xbf{}"),
    "a zero byte after it": tensor_file(b"{}\0"),
    "anything after a zero byte": tensor_file(b"{}\0{nonsense"),
    "a zero byte in a key": tensor_file(b'{"a\0": 1}'),
    "no UTF-8": tensor_file(b'{"\xff": 1}'),
    "no UTF-8 in metadata": tensor_file(b'{"__metadata__": {"a": "\xc3("}}'),
    "half a character": tensor_file(b'{"__metadata__": {"a": "\\ud800"}}'),
    "half a character as UTF-8": tensor_file(b'{"__metadata__": {"a": "\xed\xa0\x80"}}'),
    "a tensor twice": tensor_file(b'{"x": %s, "x": %s}' % (ENTRY, ENTRY), bytes(4)),
    "a tensor twice, escaped": tensor_file(b'{"x": %s, "\\u0078": %s}' % (ENTRY, ENTRY), bytes(4)),
    "a field twice": text(b"[1]", b', "shape": [1]'),
    "metadata twice": tensor_file(b'{"__metadata__": {}, "__metadata__": {}}'),
    "an unknown field twice": text(b"[1]", b', "more": {"a": 1, "a": 1}'),
    "nested too deep": nested(15),
    "nested until a stack ends": nested(200_000),
    "nested shapes": text(b"[" * 5000 + b"]" * 5000),
    "NaN": text(b"[1]", b', "more": NaN'),
    "infinity": text(b"[1]", b', "more": -Infinity'),
    "an infinite number": text(b"[1]", b', "more": 1e999'),
    "a number of 400 digits": text(b"[1]", b', "more": ' + b"9" * 400),
    # Its entries.
    "no object": tensor_file({"x": 1}),
    "a list for a tensor": tensor_file({"x": []}),
    "no dtype": tensor_file({"x": {"shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
    "an unknown dtype": one("F31"),
    "a dtype in lower case": one("f32"),
    "a dtype that is PyTorch's": one("float32"),
    "a number for a dtype": one(3),
    "a list for a dtype": one([]),
    "no shape": tensor_file({"x": {"dtype": "F32", "data_offsets": [0, 4]}}, bytes(4)),
    "null for a shape": one(shape=None),
    "an object for a shape": one(shape={}),
    "a text for a shape": one(shape="1"),
    "a negative size": one(shape=(-1,)),
    "two negative sizes": one(shape=(-1, -1)),
    "a fraction": one(shape=(1.0,)),
    "true for a size": one(shape=(True,)),
    "null for a size": one(shape=(None,)),
    "minus zero": text(b"[-0]", size=0),
    "an exponent": text(b"[1e0]"),
    "beyond 63 bits": one(shape=(2**63,)),
    "beyond 64 bits": one(shape=(2**64 + 1,)),
    "beyond 64 bits, empty": one(shape=(2**64, 0), offsets=(0, 0), size=0),
    "a product that overflows to 4 bytes": one(shape=(2**62 + 1,)),
    "a product that overflows to nothing": one(shape=(2**32, 2**32), offsets=(0, 0), size=0),
    "a product that overflows": one(shape=(2**62, 2**62)),
    "an empty product that overflows": one(shape=(2**62, 4, 0), offsets=(0, 0), size=0),
    "an empty product that would overflow": one(shape=(0, 2**62, 4), offsets=(0, 0), size=0),
    "another size": one(shape=(2,)),
    "another element's size": one("F64"),
    "no offsets": tensor_file({"x": {"dtype": "F32", "shape": [1]}}, bytes(4)),
    "one offset": one(offsets=(0,)),
    "three offsets": one(offsets=(0, 4, 4)),
    "fractions for offsets": one(offsets=(0.0, 4.0)),
    "a bool for an offset": one(offsets=(False, 4)),
    "a negative offset": one(offsets=(-4, 0)),
    "offsets reversed": one(offsets=(4, 0)),
    "offsets beyond the data": one(offsets=(0, 8), shape=(2,)),
    "offsets beyond 64 bits": one(offsets=(2**64, 2**64 + 4)),
    "truncated data": one(size=3),
    "no data": one(size=0),
    "surplus": one(size=5),
    "data without tensors": tensor_file({}, b"1234"),
    "a hole at the start": one(offsets=(4, 8), size=8),
    "a hole in the middle": tensor_file({"x": entry(), "y": entry(offsets=(8, 12))}, bytes(12)),
    "an overlap": tensor_file({"x": entry(shape=(2,), offsets=(0, 8)), "y": entry(offsets=(4, 8))}, bytes(8)),
    "the same bytes": tensor_file({"x": entry(), "y": entry()}, bytes(4)),
    "no elements within another": tensor_file(
        {"x": entry(shape=(2,), offsets=(0, 8)), "y": entry(shape=(0,), offsets=(4, 4))}, bytes(8)
    ),
    # The metadata.
    "a number for metadata": tensor_file({"__metadata__": 1}),
    "a list for metadata": tensor_file({"__metadata__": []}),
    "null for metadata": tensor_file({"__metadata__": None}),
    "extras that are no text": tensor_file({"__metadata__": {"modelconform": {}}}),
    "extras that are no JSON": extras("nonsense"),
    "extras that are a list": extras("[]"),
    "extras of nothing": extras({"y": {}}),
    "extras twice": extras('{"x": {}, "x": {}}'),
    "a number for extras": extras({"x": 1}),
    "an extra dtype that nobody knows": extras({"x": {"dtype": "float9"}}),
    "null for an extra dtype": extras({"x": {"dtype": None}}),
    "a list for an extra dtype": extras({"x": {"dtype": []}}),
    "stored otherwise": extras({"x": {"dtype": "float8_e5m2"}}),
    "complex by its own name and ours": extras({"x": {"dtype": "complex64"}}, "C64", (1,), 8),
    "no pairs": extras({"x": {"dtype": "complex64"}}),
    "no dimension for pairs": extras({"x": {"dtype": "complex64"}}, shape=()),
    "an order of another rank": extras({"x": {"order": [0, 1]}}),
    "an order of other dimensions": extras({"x": {"order": [1]}}),
    "an order with a dimension twice": extras({"x": {"order": [0, 0]}}, shape=(1, 1)),
    "an order that is a text": extras({"x": {"order": "0"}}),
    "an order that is null": extras({"x": {"order": None}}),
    "an order of fractions": extras({"x": {"order": [0.0]}}),
    "an order of bools": extras({"x": {"order": [False]}}),
    "an order of minus zero": extras('{"x": {"order": [-0]}}'),
    "an order of the pairs, too": extras({"x": {"dtype": "complex64", "order": [1, 0]}}, shape=(1, 2), size=8),
}

ALL: dict[str, tuple[bytes, bool]] = {
    **{name: (content, True) for name, content in RIGHT.items()},
    **{name: (content, False) for name, content in MALFORMED.items()},
}


def trees(keys: list[str]) -> list[dict[str, Any]]:
    """Arguments of a call: the tensors of these keys."""
    return [{"tensor": key} for key in keys]


if __name__ == "__main__":
    # Seeds for the fuzzer: python -m tests.support.tensor_files FOLDER
    folder = Path(sys.argv[1])
    folder.mkdir()
    for number, (data, _) in enumerate(ALL.values()):
        (folder / f"{number:03}.safetensors").write_bytes(data)
