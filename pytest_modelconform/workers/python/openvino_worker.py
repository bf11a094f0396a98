"""OpenVINO in Python, reading ONNX and its own format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import openvino

from .. import flat
from ..arrays import Array, numpy_dtype
from ..loop import Handlers

# Types that numpy itself hasn't: OpenVINO's Python converts such an array to float16 and then takes the bits for the
# wanted type's, without a word, and hands such outputs out as float16 or uint8 (seen with 2026.4).
BITS_ONLY = {
    "bfloat16": openvino.Type.bf16,
    "float8_e4m3fn": openvino.Type.f8e4m3,
    "float8_e5m2": openvino.Type.f8e5m2,
}

# With one thread the CPU plugin doesn't report that an inference failed (seen with 2026.4): the call returns, and its
# outputs are those of the one before, or empty; some later call crashes. A verdict must not depend on how many
# processes share the cores.
LEAST_THREADS = 2


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    core = openvino.Core()

    def load(request: dict[str, Any]) -> flat.Model:
        libraries = request.get("libraries", [])
        # Extensions are the core's, for good.
        used = openvino.Core() if libraries else core
        for library in libraries:
            used.add_extension(library)
        compiled = compile_model(used, request, device, threads)
        infer = compiled.create_infer_request()

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            # By ports: an input that is returned as it is has the output's name.
            given = {compiled.input(name): to_openvino(array) for name, array in feeds.items()}
            infer.infer(given, share_inputs=False)
            return [from_openvino(infer.get_tensor(compiled.output(name))) for name in fetches]

        return model

    devices = sorted({name.split(".")[0].lower() for name in core.available_devices})
    version = openvino.get_version().split("-")[0]
    return flat.handlers({"name": "openvino", "version": version, "devices": devices}, load)


def compile_model(core: Any, request: dict[str, Any], device: str, threads: int) -> Any:
    """The model that a load request names, compiled for its precision."""
    options: dict[str, Any] = {"INFERENCE_NUM_THREADS": max(threads, LEAST_THREADS), "NUM_STREAMS": 1}
    if request.get("precision") == "fast":
        options["EXECUTION_MODE_HINT"] = "PERFORMANCE"
    else:
        # Without the hint OpenVINO computes in bfloat16 where the processor has it, and loses 13 bits.
        options["INFERENCE_PRECISION_HINT"] = "f32"
    return core.compile_model(request["model"], device.upper(), options)


def to_openvino(array: Array) -> Any:
    """The array, or a tensor with its bits where OpenVINO would convert them."""
    if array.dtype.name not in BITS_ONLY:
        return array
    row_major = np.ascontiguousarray(array)
    bits = row_major.view(f"u{array.dtype.itemsize}")
    return openvino.Tensor(bits, list(array.shape), BITS_ONLY[array.dtype.name])


def from_openvino(tensor: Any) -> Array:
    """The tensor's numbers in their own dtype."""
    name = next((name for name, kind in BITS_ONLY.items() if kind == tensor.element_type), None)
    data: Array = tensor.data
    return data if name is None else data.view(numpy_dtype(name))
