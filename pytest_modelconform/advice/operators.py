"""Operators that an exporter or a runtime doesn't have: the user's own, and those of a newer opset."""

from __future__ import annotations

from .failure import Failure, option

# Namespaces of operators that are torch's or ONNX's own.
_BUILT_IN = ("aten", "prim", "prims", "quantized", "onnx", "ai", "_operator", "torch")
# How libraries name an operator that they don't know, each with the field of `Operators` that serves them.
_UNKNOWN = (
    (r"Unknown builtin op: (?P<space>\w+)::(?P<name>\w+)", "torch"),
    (r"failed to resolve torch\.ops\.(?P<space>\w+)\.(?P<name>\w+)", "torch"),
    (r"Fatal error: (?P<space>[\w.]+):(?P<name>\w+)\(-?\d+\) is not a registered function/op", "onnxruntime"),
    (
        r"No conversion rule found for operations: (?P<space>[\w.]+?)\.(?P<name>\w+)(?:\.default)?(?=[,\s]|$)",
        "openvino",
    ),
)
_UNKNOWN_TO_THE_OLDER = r"unrecognized namespace (?P<space>\w+)::(?P<name>\w+)"
_UNKNOWN_TO_EXPORTERS = (
    _UNKNOWN_TO_THE_OLDER,
    r"No ONNX function found for <OpOverload\(op='(?P<space>\w+)\.(?P<name>\w+)'",
)
_NEWER = (
    r"Exporting the operator '(?P<name>[\w:]+)' to ONNX opset version (?P<opset>\d+) is not supported\. "
    r"Support for this operator was added in version (?P<added>\d+)"
)


def fake_kernel(failure: Failure) -> str | None:
    """An operator of which torch.export can't tell what it returns."""
    found = failure.search(r"There was no fake impl registered for <CustomOpDef\((?P<name>[\w:]+)\)>")
    found = found or failure.search(r"UnsupportedOperatorException: (?P<name>\w+\.\w+)")
    if found is None:
        return None
    name = found["name"].replace(".", "::")
    if name.partition("::")[0] in _BUILT_IN:
        return (
            f"torch.export can't follow {name}, at least not where a size is dynamic. Leave `dynamic_shapes` out, or "
            "write it with other operators"
        )
    return (
        f"torch.export has to know what {name} returns without running it. Register a function that returns an empty "
        f'tensor of that shape and dtype: `@torch.library.register_fake("{name}")`'
    )


def newer_opset(failure: Failure) -> str | None:
    """An operator that ONNX has had since a later opset than the export's."""
    found = failure.search(_NEWER)
    if found is None:
        return None
    name, opset, added = found["name"], int(found["opset"]), int(found["added"])
    said = f"{name} needs ONNX opset {added}, and this export has {opset}."
    if opset == 9:
        return (
            f"{said} Caffe2 and MXNet read opset 9 only, so write it with older operators, or leave `onnx-opset9`, "
            "`caffe2` and `mxnet` out of --modelconform-formats"
        )
    return f"{said} Give the exporter a newer one: {option('opset_version', added, 'onnx-legacy')}"


def own(failure: Failure) -> str | None:
    """An operator that only the case's own process knows."""
    if "operators=Operators(" in failure.message:
        return None  # who raised it knows the case, and has said so
    for pattern in _UNKNOWN_TO_EXPORTERS:
        if name := _own(failure, pattern):
            if name.startswith("torchvision::") and pattern == _UNKNOWN_TO_THE_OLDER:
                return (
                    f"the older ONNX exporter has no {name}. Try the format `onnx`, whose exporter has torchvision's "
                    "operators (`--modelconform-formats onnx`)"
                )
            return (
                f"ONNX has no operator {name}. Write it with operators of PyTorch, or say what it is in ONNX: "
                "`operators=Operators(translations=…)`"
            )
    for pattern, field in _UNKNOWN:
        if name := _own(failure, pattern):
            if name.startswith("torchvision::") and field == "openvino":
                return (
                    f"OpenVINO has no {name} for what comes from PyTorch. Leave it out of the exported part, or try "
                    "the format `onnx`, which OpenVINO reads as well (`--modelconform-formats onnx`)"
                )
            return (
                f"{name} is an operator of your own, which this runtime's process doesn't know. Say in the case what "
                f'registers it there: `operators=Operators({field}=("my_operators.cpp",))`'
            )
    return None


def newer(failure: Failure) -> str | None:
    """A scripted file with an operator of torch's own that the PyTorch which loads it doesn't have."""
    found = failure.search(r"Unknown builtin op: aten::(?P<name>\w+)")
    if found is None:
        return None
    return (
        f"the file has aten::{found['name']}, which the PyTorch that loads it doesn't have: a newer one scripted the "
        "model, and a script carries all branches of PyTorch's functions. Trace the model; or `torch.jit.freeze` it "
        "before it is saved, which drops branches; or script it with the oldest PyTorch that loads it"
    )


def mixed_bounds(failure: Failure) -> str | None:
    """A clamp between an int and a float, for which torch.onnx looks for an overload that there isn't."""
    if not failure.search(r"Cannot find a compatible OpOverload for aten\.clamp\b"):
        return None
    return (
        "the ONNX exporter finds no clamp for an int beside a float. Write both bounds as floats: `x.clamp(0.0, 0.5)` "
        "in place of `x.clamp(0, 0.5)`"
    )


def packed(failure: Failure) -> str | None:
    """A packed sequence in a recurrent layer, whose number of rows at each time is a tensor to torch.export."""
    if not failure.search(r"zeros\(\): argument 'size' failed to unpack the object [\s\S]*but got FakeTensor"):
        return None
    return (
        "torch.export can't follow a packed sequence into an nn.LSTM or nn.GRU. Give the layer the padded batch: in "
        "one direction its outputs within each length are the same, and the last state is the output at `lengths - 1`. "
        "The formats torchscript-trace and onnx-legacy take packed sequences"
    )


def functional_gradient(failure: Failure) -> str | None:
    """torch.func.grad, alone or below vmap: what it wraps has no storage, and the export can't be made or written."""
    if not failure.search(r"'Tensor' object has no attribute 'constant'|storage of TensorWrapper"):
        return None
    return (
        "torch.export can't keep `torch.func.grad`. Use autograd: `x = x.detach().requires_grad_()`, then "
        "`torch.autograd.grad(f(x).sum(), x)[0]`, both below `with torch.enable_grad():`. Where a row of f depends on "
        "no other row, the gradient of the sum is that of each row"
    )


def _own(failure: Failure, pattern: str) -> str:
    """An operator in a message, if it is nobody's but the user's; else ""."""
    found = failure.search(pattern)
    is_own = found is not None and found["space"].partition(".")[0] not in _BUILT_IN
    return f"{found['space']}::{found['name']}" if found is not None and is_own else ""


def lacking(failure: Failure) -> str | None:
    """An operator of torch that an ONNX exporter has no function for."""
    if failure.search(
        r"No ONNX function found for <OpOverload\(op='aten\.sort', overload='stable'"
        r"|ONNX export of operator Sort, Out parameter is not supported"
    ):
        return "ONNX exporters have a function for `sort`, and none for its argument `stable`: leave it out, if you can"
    if found := failure.search(r"No ONNX function found for <OpOverload\(op='(?P<space>aten|prims)\.(?P<name>\w+)'"):
        return (
            f"the ONNX exporter has no function for {found['space']}::{found['name']}. Write it with other operators, "
            "or say what it is in ONNX: `operators=Operators(translations=…)`"
        )
    if found := failure.search(r"Exporting the operator 'aten::(?P<name>\w+)' to ONNX opset version \d+ is not supp"):
        return (
            f"the older ONNX exporter has no aten::{found['name']}. Try the format `onnx`, whose exporter may have "
            "it (`--modelconform-formats onnx`), or write it with other operators"
        )
    return None


def index_dtype(failure: Failure) -> str | None:
    """An index that the ONNX exporter leaves in 32 bits, where ONNX wants 64."""
    if not failure.search(r"Type 'tensor\(int32\)' of input parameter \(\S+\) of operator \((?:GatherND|ScatterND)\)"):
        return None
    return (
        "ONNX takes indices in int64 here, and the exporter leaves those of int32 as they are: index with "
        "`x[:, i.long()]`"
    )


def kernel(failure: Failure) -> str | None:
    """An operator that ONNX Runtime has in other dtypes."""
    found = failure.search(r"Could not find an implementation for (?P<name>\w+)\(\d+\) node")
    if found is None:
        return None
    return (
        f"ONNX Runtime has no {found['name']} on the CPU for the dtype that this one has: bfloat16, float16 or "
        "float64, of the row, of a cast in forward or of torch.autocast, or a small integer. Compute there in float32 "
        "or int64"
    )
