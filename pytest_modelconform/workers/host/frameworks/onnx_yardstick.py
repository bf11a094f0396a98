"""What a model in ONNX is measured by: ONNX's evaluator as far as it is right, which nobody takes on trust.

Its results are compared with those of ONNX Runtime without optimisation. Where they differ beyond rounding, or where
the evaluator fails, the yardstick is another one: the evaluator on the model converted to a newer opset, or ONNX
Runtime itself.
"""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from ...arrays import Array
from .onnx_evaluator import Evaluator, hooked, replaced
from .onnx_float64 import in_float64
from .onnx_noise import Noise

Feeds = Mapping[str, Array]

# What agrees to this many bits, of the root mean square of an output, needs no measured noise to be the same function:
# it is what float32's 24 leave after a sum of 65,536 terms of one sign in order.
SAME_BITS = 16.0
# Else runs of the evaluator with operator noise say how far rounding goes. A faithful runtime stays within 0.1 bits of
# their greatest distance (measured on 22 models, docs/verdicts.md); three bits are left for what isn't faithful but
# known, like a sigmoid that is exact to 1e-7 absolutely.
BEYOND_ROUNDING = 8.0
_NOISY_RUNS = 4
# What differs by more than rounding, but to no more than this, is a runtime's accuracy and no other function. A
# quantized model has steps of 1/256 that rounding decides, and what they come to is no more than a few of them.
CLOSE_BITS = 10.0
CLOSE_BITS_QUANTIZED = 4.0
# ONNX Runtime's sigmoid is exact to 1e-7 absolutely: of outputs that are all near 0 few bits are left.
ABSOLUTE = 2.0**-20
_AROUND_ONE = ("Sigmoid", "Tanh", "Erf", "Softmax", "Exp", "HardSigmoid")
_INTEGERS_APART = 0.05  # share, as for unstable integers
_OPSETS = (13, 17, 19, 21)


class YardstickFault(Exception):
    """Nothing is left to measure a model by. The message says why, and blames the model only for what is its own."""


@dataclass(frozen=True)
class Choice:
    """How a model is computed. model: as it is, or converted. by_runtime: whether by ONNX Runtime.

    note: which yardstick that is, and why; "" for the evaluator as it is, which ONNX Runtime agrees with.
    """

    model: onnx.ModelProto
    by_runtime: bool = False
    note: str = ""

    def run(self, parameters: Mapping[str, Array], feeds: Feeds, wide: bool) -> list[Any]:
        """The graph's outputs. wide: in float64. Raises TypeError where there is no such kernel."""
        model = with_parameters(in_float64(self.model) if wide else self.model, parameters)
        if not self.by_runtime:
            return _as_declared(model, Evaluator(model).run(None, dict(feeds)))
        try:
            return without_optimisation(model, feeds)
        except Exception as error:
            if not wide:
                raise
            said = str(error).partition("\n")[0]
            raise TypeError(f"ONNX Runtime, by which it is measured, can't: {said}") from error

    def run_with_noise(self, parameters: Mapping[str, Array], feeds: Feeds, seed: int, scale: float) -> list[Any]:
        """The outputs with every operator's result moved as another faithful runtime's may be.

        ONNX Runtime's nodes are out of sight, so there it is inputs and parameters that move, by a unit.
        """
        noise = Noise(seed, scale)
        if self.by_runtime:
            units = math.sqrt(2.0)  # a unit in the last place is one to two u, of either sign

            def moved(value: Any) -> Any:
                whole = value.dtype.kind != "f" or (value.size > 1 and np.array_equal(np.rint(value), value))
                return value if whole else noise.moved(value, units * np.abs(value.astype(np.float64)))

            return self.run(
                {k: moved(v) for k, v in parameters.items()}, {k: moved(v) for k, v in feeds.items()}, False
            )
        model = with_parameters(self.model, parameters)
        return _as_declared(model, hooked(noise)(model).run(None, dict(feeds)))


def with_parameters(model: onnx.ModelProto, parameters: Mapping[str, Array]) -> onnx.ModelProto:
    """A copy of a model with these arrays for the weights of their names."""
    found = onnx.ModelProto()
    found.CopyFrom(model)
    for tensor in found.graph.initializer:
        if tensor.name in parameters:
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(parameters[tensor.name]), tensor.name))
    return found


def _as_declared(model: onnx.ModelProto, outputs: Any) -> list[Any]:
    """The evaluator may widen what the graph doesn't: a mean of float32 in float64."""
    found = []
    for declared, value in zip(model.graph.output, outputs, strict=True):
        array = np.asarray(value)
        kind = declared.type.tensor_type.elem_type
        if kind and array.dtype.kind == "f":
            array = array.astype(onnx.helper.tensor_dtype_to_np_dtype(kind), copy=False)
        found.append(array)
    return found


def without_optimisation(model: onnx.ModelProto, feeds: Feeds, outputs: Sequence[str] | None = None) -> list[Any]:
    """What ONNX Runtime's plain kernels make of a model, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found: list[Any] = session.run(None if outputs is None else list(outputs), dict(feeds))
    return found


def by_openvino(model: onnx.ModelProto, feeds: Feeds) -> list[Any]:
    """What OpenVINO makes of it in float32: who is asked where the others disagree."""
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(model.SerializeToString()),
        "CPU",
        {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1},
    )
    found = compiled(dict(feeds))
    return [np.array(found[i]) for i in range(len(model.graph.output))]


# -- the choice ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Apart:
    """Where two results differ beyond rounding. words: by how much and where. close: whether it is accuracy only."""

    words: str
    close: bool


def choose(model: onnx.ModelProto, parameters: Mapping[str, Array], calls: Sequence[Feeds]) -> Choice:
    """The yardstick of a model, decided by these calls. Raises YardstickFault."""
    theirs, absent = _by_runtime(with_parameters(model, parameters), calls)
    failures: list[str] = []
    apart: list[tuple[Choice, _Apart]] = []
    first: _First | None = None
    for what, converted in _candidates(model, parameters):
        choice = Choice(converted)
        try:
            ours = [choice.run(parameters, feeds, wide=False) for feeds in calls]
            difference = _difference(choice, parameters, calls, ours, theirs) if theirs is not None else None
        except Exception as error:
            fault = _brief(error)
            # The same on each opset is said once.
            failures += [] if any(fault in said for said in failures) else [f"{what} fails: {fault}"]
            continue
        if difference is None:
            return Choice(converted, note=_note(what, converted, model, failures, apart, absent))
        apart.append((choice, difference))
        first = first if len(apart) > 1 else _first_node(choice, parameters, calls)
        if first is not None and first.absolute:
            break  # which no other opset changes
    if apart:
        assert theirs is not None
        return _decided(model, parameters, calls, theirs, apart, failures, first)
    if theirs is not None:
        return Choice(
            model,
            by_runtime=True,
            note=f"the yardstick is ONNX Runtime {_version()} without optimisation: {'; '.join(failures)}",
        )
    raise YardstickFault(f"there is nothing to measure it by: {'; '.join(failures)}; {absent}")


def _candidates(model: onnx.ModelProto, parameters: Mapping[str, Array]) -> Iterator[tuple[str, onnx.ModelProto]]:
    """The model itself and then as newer opsets have it, each with what its evaluator is called."""
    yield "ONNX's evaluator", model
    opset = {entry.domain: entry.version for entry in model.opset_import}.get("", 0)
    for target in (*_OPSETS, onnx.defs.onnx_opset_version()):
        if target <= opset:
            continue
        try:
            converted = onnx.version_converter.convert_version(with_parameters(model, parameters), target)
        except Exception:  # what can't be converted is no candidate
            continue
        used = {name for node in model.graph.node for name in node.input} & set(parameters)
        if used <= {tensor.name for tensor in converted.graph.initializer}:
            yield f"ONNX's evaluator on the model converted to opset {target}", converted


def _by_runtime(model: onnx.ModelProto, calls: Sequence[Feeds]) -> tuple[list[list[Any]] | None, str]:
    """ONNX Runtime's results, or None and why there are none."""
    try:
        return [without_optimisation(model, feeds) for feeds in calls], ""
    except ImportError:
        return None, "ONNX Runtime, which would be asked for another opinion, is not installed"
    except Exception as error:
        return None, f"ONNX Runtime without optimisation fails: {_brief(error)}"


def _note(
    what: str,
    converted: onnx.ModelProto,
    model: onnx.ModelProto,
    failures: Sequence[str],
    apart: Sequence[tuple[Choice, _Apart]],
    absent: str,
) -> str:
    reasons = [*replaced(converted), *failures]
    reasons += [f"without that it is not what ONNX Runtime returns: {difference.words}" for _, difference in apart]
    checked = f"not cross-checked: {absent}" if absent else f"ONNX Runtime {_version()} without optimisation agrees"
    if not reasons and not absent:
        return ""
    because = f" ({'; '.join(reasons)})" if reasons else ""
    return f"the yardstick is {what}{because}; {checked}"


def _decided(
    model: onnx.ModelProto,
    parameters: Mapping[str, Array],
    calls: Sequence[Feeds],
    theirs: list[list[Any]],
    apart: Sequence[tuple[Choice, _Apart]],
    failures: Sequence[str],
    first: _First | None,
) -> Choice:
    """Evaluator and ONNX Runtime differ beyond rounding: what is close stays, else a third opinion decides.

    Raises YardstickFault where it doesn't.
    """
    own, difference = apart[0]
    seen = f"{difference.words}{first.words if first else ''}"
    close = next((choice for choice, found in apart if found.close), own if first and first.absolute else None)
    if close is not None:
        note = f"the yardstick is ONNX's evaluator; ONNX Runtime without optimisation is less exact: {seen}"
        return Choice(close.model, note=note)
    try:
        third = [by_openvino(with_parameters(model, parameters), feeds) for feeds in calls]
    except Exception as error:
        verdict = f"OpenVINO, asked for a third opinion, has none: {_brief(error)}"
    else:
        for choice, _ in apart:
            ours = [choice.run(parameters, feeds, wide=False) for feeds in calls]
            if _difference(choice, parameters, calls, ours, third) is None:
                note = f"the yardstick is ONNX's evaluator, which OpenVINO agrees with; ONNX Runtime doesn't: {seen}"
                return Choice(choice.model, note=note)
        choice = Choice(model, by_runtime=True)
        if _difference(choice, parameters, calls, theirs, third) is None:
            note = (
                f"the yardstick is ONNX Runtime {_version()} without optimisation, which OpenVINO agrees with; ONNX's "
                f"evaluator {onnx.__version__} doesn't: {seen}"
            )
            return Choice(model, by_runtime=True, note=note)
        verdict = "OpenVINO agrees with neither"
    more = f"; {'; '.join(failures)}" if failures else ""
    raise YardstickFault(
        f"the yardstick is in doubt, which says nothing of the model: ONNX's evaluator {onnx.__version__} and ONNX "
        f"Runtime {_version()} without optimisation disagree: {seen}; {verdict}{more}"
    )


# -- how far two results are apart -----------------------------------------------------------------------------------


def _difference(
    choice: Choice,
    parameters: Mapping[str, Array],
    calls: Sequence[Feeds],
    ours: Sequence[Sequence[Any]],
    theirs: Sequence[Sequence[Any]],
) -> _Apart | None:
    """Where other results differ from ours beyond rounding; None where they don't."""
    for feeds, own, other in zip(calls, ours, theirs, strict=True):
        noisy: list[Sequence[Any]] = []
        for place, (y, z) in enumerate(zip(own, other, strict=True)):
            name = choice.model.graph.output[place].name
            if (bits := agreement(y, z)) is None or bits >= SAME_BITS:
                if bits is None:
                    return _Apart(f"output {name!r} is {_said(y)} here and {_said(z)} there", False)
                continue
            if not noisy:
                noisy = [choice.run_with_noise(parameters, feeds, seed, 1.0) for seed in range(_NOISY_RUNS)]
            found = [agreement(y, run[place]) for run in noisy]
            rounding = min(-math.inf if one is None else one for one in found)
            if bits >= rounding - math.log2(BEYOND_ROUNDING):
                continue
            close = bits >= (CLOSE_BITS_QUANTIZED if _is_quantized(choice.model) else CLOSE_BITS)
            i = int(np.abs(np.nan_to_num(y.astype(np.float64) - z.astype(np.float64))).argmax())
            at = [int(index) for index in np.unravel_index(i, y.shape)]
            return _Apart(
                f"output {name!r} agrees to {bits:.1f} bits (rounding leaves {rounding:.1f}), at {at} it is "
                f"{y.flat[i]:.7g} here and {z.flat[i]:.7g} there",
                close,
            )
    return None


def agreement(one: Any, two: Any) -> float | None:
    """log2 of the first's root mean square over that of the difference; None for what can't be compared.

    Integers count by the share that differs: all bits where that is none, none where it is over what rounding may do.
    """
    one, two = np.asarray(one), np.asarray(two)
    if one.shape != two.shape or (one.dtype.kind == "f") != (two.dtype.kind == "f") or one.dtype.kind in "OUS":
        return math.inf if one.dtype.kind in "OUS" and np.array_equal(one, two) else None
    if not one.size:
        return math.inf
    if one.dtype.kind != "f":
        a, b = one.astype(np.float64), two.astype(np.float64)
        apart = np.abs(a - b) > (1 if one.dtype.itemsize == 1 and one.dtype.kind != "b" else 0)
        return math.inf if apart.mean() <= _INTEGERS_APART else -math.log2(float(apart.mean()))
    a, b = one.astype(np.float64), two.astype(np.float64)
    finite = np.isfinite(a) & np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return None
    with np.errstate(all="ignore"):
        error = math.sqrt(float(np.mean((a[finite] - b[finite]) ** 2))) if finite.any() else 0.0
        size = math.sqrt(float(np.mean(a[finite] ** 2))) if finite.any() else 0.0
    if not error:
        return math.inf
    return math.log2(size / error) if size else -math.inf


def _said(value: Any) -> str:
    array = np.asarray(value)
    bad = int((~np.isfinite(array)).sum()) if array.dtype.kind == "f" else 0
    more = f" with {bad} NaN or infinite" if bad else ""
    return f"{array.dtype.name} of shape ({', '.join(map(str, array.shape))}){more}"


@dataclass(frozen=True)
class _First:
    """The first node whose result clearly differs. words: as a clause.

    absolute: whether it is a function with values around 1 that is right to 2^-20 of that, if not of its small values.
    """

    words: str
    absolute: bool


def _first_node(choice: Choice, parameters: Mapping[str, Array], calls: Sequence[Feeds]) -> _First | None:
    """That node; None where there is none, or where the results of nodes can't be had of both."""
    model = with_parameters(choice.model, parameters)
    names = [name for node in model.graph.node for name in node.output if name]
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    declared = {value.name for value in model.graph.output}
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in declared)
    for feeds in calls:
        try:
            ours: Any = Evaluator(model).run(None, dict(feeds), intermediate=True)
            theirs = dict(zip(names, without_optimisation(shown, feeds, names), strict=True))
        except Exception:
            return None
        for node in model.graph.node:
            for name in node.output:
                if not name or not isinstance(ours.get(name), np.ndarray):
                    continue
                bits = agreement(ours[name], theirs[name])
                if bits is None or bits < (CLOSE_BITS_QUANTIZED if _is_quantized(choice.model) else CLOSE_BITS):
                    words = f", first after operator {node.op_type} (output {name!r})"
                    exact = bits is not None and float(np.abs(ours[name] - theirs[name]).max()) <= ABSOLUTE
                    return _First(words, exact and node.op_type in _AROUND_ONE)
    return None


def _is_quantized(model: onnx.ModelProto) -> bool:
    return any(
        "Quantize" in node.op_type or "Integer" in node.op_type or "QLinear" in node.op_type
        for node in model.graph.node
    )


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _version() -> str:
    return importlib.metadata.version("onnxruntime")
