"""OpenVINO in Python, reading ONNX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import openvino

from .. import flat
from ..arrays import Array
from ..loop import Handlers


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`."""
    core = openvino.Core()

    def load(request: dict[str, Any]) -> flat.Model:
        options: dict[str, Any] = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        if request.get("precision") == "fast":
            options["EXECUTION_MODE_HINT"] = "PERFORMANCE"
        else:
            # Without the hint OpenVINO computes in bfloat16 where the processor has it, and loses 13 bits.
            options["INFERENCE_PRECISION_HINT"] = "f32"
        compiled = core.compile_model(request["model"], device.upper(), options)
        infer = compiled.create_infer_request()

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            infer.infer(dict(feeds), share_inputs=False)
            return [infer.get_tensor(name).data for name in fetches]

        return model

    devices = sorted({name.split(".")[0].lower() for name in core.available_devices})
    version = openvino.get_version().split("-")[0]
    return flat.handlers({"name": "openvino", "version": version, "devices": devices}, load)
