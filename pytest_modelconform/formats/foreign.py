"""Signatures of artifacts that something else wrote: what a format's own file says of inputs and outputs.

Format modules take one of these as `foreign`. They import frameworks, and read files from anywhere: `signature_of` runs
them in a process of its own, so that a file that crashes its reader is a message.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..terms.wording import how_it_ended
from . import external_data
from .base import Format, Signature, tree_signature

# Seconds to read a file's description; its weights, too, where a library can't help it.
_LIMIT = 300.0
# OpenVINO's names of dtypes.
_OPENVINO_DTYPES = {
    "f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "boolean": "bool",
    "i64": "int64", "i32": "int32", "i16": "int16", "i8": "int8", "u8": "uint8",
}  # fmt: skip


class Unreadable(Exception):
    """A file can't be read as the format that it was taken for. The message says why."""


def signature_of(module: Format, path: Path) -> Signature | None:
    """The signature of a foreign file; None if it is in another format. Raises Unreadable.

    module: of a format that has `foreign`.
    """
    # -c and not -m: the package has imported this module by then, of which runpy warns.
    code = f"import sys; from {__name__} import main; main(*sys.argv[1:])"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-W", "ignore", "-c", code, module.module, str(path)]
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_LIMIT, check=False)
    except subprocess.TimeoutExpired:
        raise Unreadable(f"reading its inputs and outputs takes longer than {_LIMIT:.0f} s") from None
    answer = done.stdout.strip().rpartition("\n")[2]
    if done.returncode or not answer:
        last = done.stderr.strip().rpartition("\n")[2]
        raise Unreadable(last if done.returncode == 1 else f"its reader {how_it_ended(done.returncode)}: {last}")
    found: Signature | None = json.loads(answer)
    return found and {**found, "format": module.NAME}


def main(module: str, path: str) -> None:
    """Print the signature of a file, as JSON in one line; the last one, since libraries print, too."""
    found = importlib.import_module(module).foreign(Path(path))
    print(f"\n{json.dumps(found)}")


def of_torchscript(path: Path) -> Signature | None:
    """TorchScript is called like the model. Raises ValueError for what `torch.save` wrote, which has no code."""
    with zipfile.ZipFile(path) as file:
        if not any("/code/" in name for name in file.namelist()):
            raise ValueError("it holds no TorchScript: weights alone, as of torch.save, can't be run")
    return tree_signature(path.name)


def of_program(path: Path) -> Signature | None:
    """An ExportedProgram is called like the model. None for a package of AOTInductor."""
    return None if _is_package(path) else tree_signature(path.name)


def of_package(path: Path) -> Signature | None:
    """A package of AOTInductor takes the call's tensors in order. None for an ExportedProgram."""
    return tree_signature(path.name) if _is_package(path) else None


def _is_package(path: Path) -> bool:
    with zipfile.ZipFile(path) as file:
        return any("/aotinductor/" in name for name in file.namelist())


def of_onnx(path: Path) -> Signature | None:
    """A graph's inputs that aren't weights, and its outputs."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    weights = {value.name for value in graph.initializer}

    def described(value: Any) -> dict[str, Any]:
        kind = value.type.tensor_type
        dims = kind.shape.dim if kind.HasField("shape") else ()
        shape = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in dims]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name if kind.elem_type else "float32"
        return {"name": value.name, "dtype": dtype, "shape": shape}

    inputs = [described(value) for value in graph.input if value.name not in weights]
    return _graph(path, inputs, [value.name for value in graph.output]) | external_data.of_graph(graph)


def of_openvino(path: Path) -> Signature | None:
    """Inputs and outputs of OpenVINO's .xml. None for XML of another kind."""
    root = ElementTree.parse(path).getroot()
    layers = {layer.get("id"): layer for layer in root.iterfind("layers/layer")}
    if root.tag != "net":
        return None
    sources = {
        edge.get("to-layer"): (edge.get("from-layer"), edge.get("from-port")) for edge in root.iterfind("edges/edge")
    }

    def name_of(layer: Any, port: str | None) -> str:
        found = next(p for p in layer.iterfind("output/port") if port in (None, p.get("id")))
        # Several names stand in a list with commas; the tensor answers to each.
        return str((found.get("names") or layer.get("name")).split(",")[0])

    inputs, outputs = [], []
    for number, layer in layers.items():
        data = layer.find("data")
        if layer.get("type") == "Parameter" and data is not None:
            lengths = [word.strip() for word in (data.get("shape") or "").split(",") if word.strip()]
            shape = [int(word) if word.isdecimal() else "?" for word in lengths]
            dtype = _OPENVINO_DTYPES.get(data.get("element_type") or "", "float32")
            inputs.append({"name": name_of(layer, None), "dtype": dtype, "shape": shape})
        elif layer.get("type") == "Result":
            source, port = sources[number]
            outputs.append(name_of(layers[source], port))
    return _graph(path, inputs, outputs)


def of_litert(path: Path) -> Signature | None:
    """The first signature of a .tflite. Raises ValueError for a file without."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    signatures = interpreter.get_signature_list()
    if not signatures:
        raise ValueError("it has no signature, by which inputs and outputs have names")
    [key, names] = next(iter(signatures.items()))
    details = interpreter.get_signature_runner(key).get_input_details()
    inputs = [
        {
            "name": name,
            "dtype": details[name]["dtype"].__name__,
            "shape": ["?" if length < 0 else int(length) for length in details[name]["shape_signature"]],
        }
        for name in names["inputs"]
    ]
    return _graph(path, inputs, names["outputs"])


def of_executorch(path: Path) -> Signature | None:
    """The method `forward` of a .pte: its tensors have places, and no names."""
    from executorch.runtime import Runtime

    # Each keeps what it reads from alive: the loader's file, the program, the method.
    runtime = Runtime.get()
    program = runtime.load_program(str(path))
    method = program.load_method("forward")
    if method is None:
        raise ValueError("it has no method 'forward'")
    about = method.metadata
    inputs = []
    for place in range(about.num_inputs()):
        tensor = about.input_tensor_meta(place)
        inputs.append({"name": f"input.{place}", "dtype": _SCALARS[tensor.dtype()], "shape": list(tensor.sizes())})
    outputs = [f"output.{place}" for place in range(about.num_outputs())]
    call = [{"name": value["name"]} for value in inputs]
    return _graph(path, inputs, outputs) | {"call": call, "returns": list(range(len(outputs)))}


# PyTorch's ScalarType by number (c10/core/ScalarType.h), as far as ExecuTorch has them.
_SCALARS = {
    0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float32", 7: "float64", 11: "bool",
    15: "bfloat16",
}  # fmt: skip


def of_coreml(path: Path) -> Signature | None:
    """What the spec of a .mlpackage or .mlmodel says. Raises ValueError for a model of pictures or of classes."""
    import coremltools

    description = coremltools.models.utils.load_spec(str(path)).description

    def array(feature: Any) -> Any:
        kind = feature.type.WhichOneof("Type")
        if kind != "multiArrayType":
            raise ValueError(f"{feature.name} is of the type {kind}, and no array of numbers")
        return feature.type.multiArrayType

    inputs = []
    for feature in description.input:
        numbers = array(feature)
        ranges = [(one.lowerBound, one.upperBound) for one in numbers.shapeRange.sizeRanges]
        shape = [low if low == high else "?" for low, high in ranges] or [int(length) for length in numbers.shape]
        dtype = numbers.ArrayDataType.Name(numbers.dataType).lower()
        inputs.append({"name": feature.name, "dtype": "float64" if dtype == "double" else dtype, "shape": shape})
    outputs = [feature.name for feature in description.output if array(feature)]
    # Which of the numbers stand for bool, only an exporter knows.
    return {**_graph(path, inputs, outputs), "booleans": []}


def of_saved_model(path: Path) -> Signature | None:
    """The signature `serving_default` of a folder of TensorFlow's, read without TensorFlow. Raises ValueError.

    None for what is no such folder.
    """
    file = path / "saved_model.pb"
    if not file.is_file():
        return None
    from .saved_model import read

    inputs, outputs = read(file.read_bytes())
    return _graph(path, inputs, outputs)


def _graph(path: Path, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[str]) -> Signature:
    """A flat signature whose inputs are positional arguments."""
    return {
        "file": path.name,
        "layout": "flat",
        "inputs": [{**value, "path": f"/args/{place}"} for place, value in enumerate(inputs)],
        "dropped": [],
        "outputs": [{"name": name, "path": f"/{place}"} for place, name in enumerate(outputs)],
        "operators": [],
    }
