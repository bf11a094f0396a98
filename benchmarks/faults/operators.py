"""Faults in the operators that torch runs: one call of an operator, or all of them, changed while an artifact runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch.utils._pytree import tree_map

from pytest_modelconform.cells.answers import Run
from pytest_modelconform.references.prepared import InputSet

from .artifact import TorchArtifact, read_inputs
from .dispatch import Change, Changed, Counted, Site, Values, call
from .mutants import Faulty, Mutant, NotApplicable

PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "convolution", "_convolution", "mkldnn_rnn_layer")
ATTENTION = ("_scaled_dot_product_flash_attention_for_cpu",)
SMOOTH = ("gelu", "silu", "sigmoid", "tanh", "exp", "_softmax", "_safe_softmax", "hardswish", "hardsigmoid")
NORMS = ("native_layer_norm", "native_group_norm", "native_batch_norm")


def scaled(argument: str, factor: float) -> Change:
    """An argument times a factor."""

    def change(func: Any, values: Values) -> None:
        values[argument] = values[argument] * factor

    return change


def put(argument: str, value: Any) -> Change:
    """An argument replaced."""

    def change(func: Any, values: Values) -> bool | None:
        before, values[argument] = values[argument], value
        return False if before is value or before == value else None

    return change


def flipped(argument: str) -> Change:
    """A flag turned."""

    def change(func: Any, values: Values) -> None:
        values[argument] = not values[argument]

    return change


def exchanged(one: str, two: str) -> Change:
    """Two arguments that have changed places."""

    def change(func: Any, values: Values) -> None:
        values[one], values[two] = values[two], values[one]

    return change


def dropped(func: Any, values: Values) -> tuple[Any]:
    """The operand itself."""
    return (values[func._schema.arguments[0].name],)


def small_term(factor: float) -> Change:
    """A small constant that is added, as a norm's epsilon where the norm is written out."""

    def change(func: Any, values: Values) -> bool | None:
        other = values["other"]
        if isinstance(other, torch.Tensor) and other.dim() == 0 and not other.is_floating_point():
            return False
        if isinstance(other, torch.Tensor) and other.dim():
            return False
        if not 0 < abs(float(other)) <= 1e-3:
            return False
        values["other"] = other * factor
        return None

    return change


def residual_dropped(func: Any, values: Values) -> tuple[Any] | bool:
    """The first of two activations of one shape, without the second."""
    one, two = values["self"], values["other"]
    same = isinstance(two, torch.Tensor) and one.shape == two.shape and one.dim() > 1 and one.is_floating_point()
    return (one,) if same else False


def other_gelu(func: Any, values: Values) -> None:
    """By erf where it is by tanh, and the other way round."""
    values["approximate"] = "none" if values["approximate"] == "tanh" else "tanh"


def other_axis(func: Any, values: Values) -> bool | None:
    """The axis before."""
    if values["self"].dim() < 2:
        return False
    values["dim"] = (values["dim"] - 1) % values["self"].dim()
    return None


def mask_turned(func: Any, values: Values) -> None:
    """Filled where it should not be."""
    values["mask"] = ~values["mask"]


def nearest(func: Any, values: Values) -> tuple[Any]:
    """The nearest pixel instead of four."""
    return (torch.ops.aten.upsample_nearest2d.default(values["self"], values["output_size"]),)


def dilated(func: Any, values: Values) -> bool | None:
    """A dilation of 2 and the padding that keeps the shape."""
    kernel = values["weight"].shape[2:]
    if all(size == 1 for size in kernel) or any(size % 2 == 0 for size in kernel) or values["transposed"]:
        return False
    more = [(size - 1) // 2 * d for size, d in zip(kernel, values["dilation"], strict=True)]
    values["padding"] = [p + m for p, m in zip(values["padding"], more, strict=True)]
    values["dilation"] = [2 * d for d in values["dilation"]]
    return None


def padded_behind(func: Any, values: Values) -> bool | None:
    """Padded by two behind instead of one on each side, as frameworks with "SAME" do for even sizes and strides."""
    if not any(values["padding"]) or values["transposed"]:
        return False
    pads = [side for p in reversed(values["padding"]) for side in (p - 1 if p else 0, p + 1 if p else 0)]
    values["input"] = torch.nn.functional.pad(values["input"], pads)
    values["padding"] = [0] * len(values["padding"])
    return None


def reversed_parts(func: Any, values: Values) -> bool | None:
    """Concatenated in the other order, where shapes allow it."""
    parts = values["tensors"]
    if len(parts) < 2 or any(part.shape != parts[0].shape for part in parts):
        return False
    values["tensors"] = list(reversed(parts))
    return None


def next_index(func: Any, values: Values) -> None:
    """Each index one larger, within the table."""
    values["indices"] = (values["indices"] + 1) % values["weight"].shape[0]


def operands_in(dtype: torch.dtype) -> Change:
    """Floating operands rounded."""
    return partial(_operands, lambda t: t.to(dtype).to(t.dtype))


def _operands(rounding: Callable[[torch.Tensor], torch.Tensor], func: Any, values: Values) -> None:
    for name, value in list(values.items()):
        values[name] = tree_map(
            lambda leaf: (
                rounding(leaf)
                if isinstance(leaf, torch.Tensor) and leaf.dtype in (torch.float32, torch.float64)
                else leaf
            ),
            value,
        )


def tf32(value: torch.Tensor) -> torch.Tensor:
    """10 bits of fraction, by truncation, as NVIDIA's tensor cores read float32."""
    kept = value.float().contiguous().view(torch.int32) & ~0x1FFF
    return kept.view(torch.float32).to(value.dtype)


def result_in(dtype: torch.dtype) -> Change:
    """What the operator returns, rounded."""

    def change(func: Any, values: Values) -> tuple[Any]:
        found = call(func, values)
        if func._schema.is_mutable:
            return (found.copy_(found.to(dtype)),)
        return (tree_map(lambda t: t.to(dtype).to(t.dtype) if t.is_floating_point() else t, found),)

    return change


# kind -> (operators, change); each call of one of the operators is a mutant.
FAULTS: dict[str, tuple[tuple[str, ...], Change]] = {
    "layer norm's epsilon × 0.1": (("native_layer_norm",), scaled("eps", 0.1)),
    "layer norm's epsilon × 10": (("native_layer_norm",), scaled("eps", 10.0)),
    "group norm's epsilon × 0.1": (("native_group_norm",), scaled("eps", 0.1)),
    "group norm's epsilon × 10": (("native_group_norm",), scaled("eps", 10.0)),
    "written-out epsilon × 0.1": (("add",), small_term(0.1)),
    "written-out epsilon × 10": (("add",), small_term(10.0)),
    "batch norm's epsilon 1e-3": (("native_batch_norm",), put("eps", 1e-3)),
    "GELU by the other formula": (("gelu",), other_gelu),
    "align_corners turned": (("upsample_bilinear2d",), flipped("align_corners")),
    "nearest for bilinear": (("upsample_bilinear2d",), nearest),
    "mask inverted": (("where",), exchanged("self", "other")),
    "fill mask inverted": (("masked_fill",), mask_turned),
    "attention mask dropped": (ATTENTION, put("attn_mask", None)),
    "attention scale × 1.01": (ATTENTION, scaled("query", 1.01)),
    "keys and values swapped": (ATTENTION, exchanged("key", "value")),
    "softmax over another axis": (("_softmax", "_safe_softmax", "_log_softmax"), other_axis),
    "activation dropped": (("relu", "hardtanh", "clamp", "hardswish", "hardsigmoid", "silu", "gelu", "tanh"), dropped),
    "padding counted or not": (("avg_pool2d",), flipped("count_include_pad")),
    "ceil_mode turned": (("avg_pool2d", "max_pool2d_with_indices"), flipped("ceil_mode")),
    "convolution dilated": (("convolution", "_convolution"), dilated),
    "convolution padded behind": (("convolution", "_convolution"), padded_behind),
    "residual dropped": (("add",), residual_dropped),
    "concatenated in reverse": (("cat",), reversed_parts),
    "embedding's index + 1": (("embedding",), next_index),
    "softmax in float16": (("_softmax", "_safe_softmax", "_log_softmax"), result_in(torch.float16)),
}
# The same for all calls at once, as a runtime of another precision.
WHOLE: dict[str, list[tuple[tuple[str, ...], Change]]] = {
    "TF32 arithmetic": [((*PRODUCTS, *ATTENTION), partial(_operands, tf32))],
    "bfloat16 arithmetic": [((*PRODUCTS, *ATTENTION), operands_in(torch.bfloat16))],
    "float16 arithmetic": [((*PRODUCTS, *ATTENTION), operands_in(torch.float16))],
    "all GELU by the other formula": [(("gelu",), other_gelu)],
    "all epsilons × 0.1": [(NORMS, scaled("eps", 0.1)), (("add",), small_term(0.1))],
    "all batch norms' epsilon 1e-3": [(("native_batch_norm",), put("eps", 1e-3))],
    "activations in float16": [(SMOOTH, result_in(torch.float16))],
}


def mutants(artifact: TorchArtifact, entry: InputSet) -> Iterator[Mutant]:
    """Every fault at every call that `entry` makes."""
    counted = Counted()
    artifact.with_around(lambda: counted).run(entry, read_inputs(entry))
    for kind, (operators, change) in FAULTS.items():
        for k in range(sum(counted.calls.get(name, 0) for name in operators)):
            yield _mutant(artifact, kind, f"{operators[0]} {k}", [Site(operators, change, k)])
    for kind, rows in WHOLE.items():
        if any(counted.calls.get(name) for operators, _ in rows for name in operators):
            sites = [Site(operators, change, None) for operators, change in rows]
            yield _mutant(artifact, kind, "all", sites)


def _mutant(artifact: TorchArtifact, kind: str, where: str, sites: list[Site]) -> Mutant:
    def answer(run: Callable[[TorchArtifact, InputSet], Run], entry: InputSet) -> list[Run]:
        mode = Changed(sites)
        found = run(artifact.with_around(lambda: mode), entry)
        if not mode.applied:
            raise NotApplicable
        return [found]

    faulty = Faulty(
        partial(answer, lambda changed, entry: changed.run(entry, read_inputs(entry))),
        partial(answer, lambda changed, entry: changed.exact(entry, read_inputs(entry))),
    )
    return Mutant(kind, where, artifact.format, artifact.runtime, lambda: faulty)
