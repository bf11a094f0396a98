"""TensorFlow's saved_model.pb, byte by byte as protobuf's wire format has it, without TensorFlow or protobuf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

# Lengths, None for any; and the number of TensorFlow's DataType.
Tensor = tuple[int, Sequence[int | None] | None]


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; negative numbers as 64 bits."""
    value %= 1 << 64
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def number(field: int, value: int) -> bytes:
    """A field of a number."""
    return varint(field << 3) + varint(value)


def block(field: int, content: bytes | str) -> bytes:
    """A field of a text or of a message."""
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def content(inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], signature: str = "serving_default") -> bytes:
    """A model with one signature, and with fields that nobody asks for."""
    described = b"".join(entry(1, name, tensor(*about)) for name, about in inputs.items())
    described += b"".join(entry(2, name, tensor(*about)) for name, about in outputs.items())
    described += block(3, "tensorflow/serving/predict")
    graph = block(2, b"\x0a\x03any") + entry(5, signature, described)
    return number(1, 1) + block(2, graph)


def entry(field: int, name: str, value: bytes) -> bytes:
    """An entry of a map."""
    return block(field, block(1, name) + block(2, value))


def tensor(dtype: int, shape: Sequence[int | None] | None) -> bytes:
    """What a signature says of a tensor."""
    if shape is None:
        lengths = number(3, 1)
    else:
        lengths = b"".join(block(2, number(1, -1 if length is None else length)) for length in shape)
    return block(1, "call:0") + number(2, dtype) + block(3, lengths)


def write(folder: Path, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
    """The folder of a model that can be described, and not run."""
    (folder / "variables").mkdir(parents=True)
    (folder / "variables" / "variables.index").write_bytes(b"weights")
    (folder / "saved_model.pb").write_bytes(content(inputs, outputs))
