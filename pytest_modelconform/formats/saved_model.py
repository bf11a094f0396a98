"""What TensorFlow's saved_model.pb says of a model's inputs and outputs, read by protobuf alone.

Field numbers are those of tensorflow/core/protobuf/saved_model.proto and meta_graph.proto, and of
tensorflow/core/framework/tensor_shape.proto; what is not named here is skipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_SIGNATURE = "serving_default"
_PACKAGE = "modelconform.saved_model"
# By message the fields that are read: name, number, type (of another message, or a scalar); `[]` is a list, `{}` a map
# from names.
_MESSAGES: Mapping[str, Sequence[tuple[str, int, str]]] = {
    "Dim": [("size", 1, "int64")],
    "Shape": [("dim", 2, "[]Dim"), ("unknown_rank", 3, "bool")],
    "Tensor": [("name", 1, "string"), ("dtype", 2, "int32"), ("tensor_shape", 3, "Shape")],
    "Signature": [("inputs", 1, "{}Tensor"), ("outputs", 2, "{}Tensor")],
    "Graph": [("signature_def", 5, "{}Signature")],
    "SavedModel": [("meta_graphs", 2, "[]Graph")],
}
_SCALARS = {"int32": "TYPE_INT32", "int64": "TYPE_INT64", "bool": "TYPE_BOOL", "string": "TYPE_STRING"}
# TensorFlow's DataType (types.proto) by number, as far as a case can have them.
_DTYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 9: "int64", 10: "bool", 14: "bfloat16",
    17: "uint16", 19: "float16", 22: "uint32", 23: "uint64",
}  # fmt: skip


def read(content: bytes) -> tuple[list[dict[str, Any]], list[str]]:
    """Inputs (name, dtype, shape with "?" for any length) and names of outputs, both sorted as TensorFlow sorts them.

    Raises ValueError for a model without `serving_default`, and for a type that no case has.
    """
    model = _saved_model()()
    model.ParseFromString(content)
    signatures = {name: found for graph in model.meta_graphs for name, found in graph.signature_def.items()}
    if _SIGNATURE not in signatures:
        has = ", ".join(sorted(signatures)) or "none"
        raise ValueError(f"it has no signature {_SIGNATURE!r}, by which inputs and outputs have names; it has {has}")
    signature = signatures[_SIGNATURE]
    inputs = [_described(name, signature.inputs[name]) for name in sorted(signature.inputs)]
    return inputs, sorted(signature.outputs)


def _described(name: str, tensor: Any) -> dict[str, Any]:
    if tensor.dtype not in _DTYPES:
        raise ValueError(f"input {name} is of TensorFlow's DataType {tensor.dtype}, which no tensor of a case has")
    shape = None
    if not tensor.tensor_shape.unknown_rank:
        shape = ["?" if dim.size < 0 else int(dim.size) for dim in tensor.tensor_shape.dim]
    return {"name": name, "dtype": _DTYPES[tensor.dtype], "shape": shape}


def _saved_model() -> Any:
    """The class of the whole message."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="saved_model.proto", package=_PACKAGE, syntax="proto3")
    for message, fields in _MESSAGES.items():
        described = file.message_type.add(name=message)
        for name, number, kind in fields:
            _add(described, name, number, kind, f".{_PACKAGE}.{message}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.SavedModel"))


def _add(message: Any, name: str, number: int, kind: str, within: str) -> None:
    """Add a field to the description of a message. within: that message's full name."""
    field = message.field.add(name=name, number=number)
    field.label = field.LABEL_REPEATED if kind.startswith(("[]", "{}")) else field.LABEL_OPTIONAL
    if kind.startswith("{}"):
        # A map is a list of entries, as protobuf has it: https://protobuf.dev/programming-guides/proto3/#maps
        entry = message.nested_type.add(name="".join(word.capitalize() for word in name.split("_")) + "Entry")
        entry.options.map_entry = True
        _add(entry, "key", 1, "string", f"{within}.{entry.name}")
        _add(entry, "value", 2, kind[2:], f"{within}.{entry.name}")
        field.type, field.type_name = field.TYPE_MESSAGE, f"{within}.{entry.name}"
    elif kind in _SCALARS:
        field.type = type(field).Type.Value(_SCALARS[kind])
    else:
        field.type, field.type_name = field.TYPE_MESSAGE, f".{_PACKAGE}.{kind.removeprefix('[]')}"
