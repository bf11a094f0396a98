"""Caffe's prototxt and caffemodel, by brocolli, which reads the model itself (torch.fx)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..environments import Environment
from .base import ExportMismatch, Signature, flat_signature

if TYPE_CHECKING:
    from torch import Tensor

    from ..workers.host.build import Built

# brocolli writes Caffe's messages, for which it wants `caffe.proto.caffe_pb2`. Caffe isn't on PyPI but as a source
# package, whose C++ nobody needs here: what protoc makes of its caffe.proto is enough.
_MESSAGES = """
import pathlib, subprocess, sys, sysconfig, tarfile, tempfile
with tempfile.TemporaryDirectory() as folder:
    pip = [sys.executable, "-I", "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "--dest", folder]
    subprocess.run([*pip, "brocolli-caffe==9.0.2"], check=True)
    [source] = pathlib.Path(folder).glob("*.tar.gz")
    with tarfile.open(source) as archive:
        [member] = [name for name in archive.getnames() if name.endswith("src/caffe/proto/caffe.proto")]
        (pathlib.Path(folder) / "caffe.proto").write_bytes(archive.extractfile(member).read())
    target = pathlib.Path(sysconfig.get_path("purelib")) / "caffe" / "proto"
    target.mkdir(parents=True, exist_ok=True)
    protoc = [sys.executable, "-I", "-m", "grpc_tools.protoc", "-I", folder, f"--python_out={target}"]
    subprocess.run([*protoc, "caffe.proto"], check=True)
from brocolli.converter.pytorch_caffe_parser import PytorchCaffeParser
"""

NAME = "caffe"
SUFFIXES = (".prototxt",)
REQUIRES = ("torch",)
# It changes nothing for good, but brings packages along that the common host shouldn't see.
HOST = "caffe"
ENVIRONMENT = Environment(
    "brocolli",
    # Of what brocolli names, onnx and onnxruntime of 2021 are for its other converter.
    requirements=("brocolli==4.0.2", "loguru==0.7.3", "tabulate==0.10.0", "grpcio-tools==1.85.1", "grpcio==1.85.1"),
    check=_MESSAGES,
    megabytes=40,
    complete=True,
    beside=True,
)
SMOKE = "smoke_images"
LIMITS = {
    "dtype:float16": "Caffe's blobs hold float32 or float64",
    "dtype:bfloat16": "Caffe's blobs hold float32 or float64",
}


def export(built: Built, folder: Path) -> Signature:
    """`PytorchCaffeParser(…).convert()` and its two files."""
    import torch
    from brocolli.converter.pytorch_caffe_parser import PytorchCaffeParser
    from torch.fx.node import map_arg

    tensors = _tensors(built)
    with torch.no_grad():
        parser = PytorchCaffeParser(built.model, list(tensors.values()))
        parser.convert()
        parser.save(str(folder / "model"))
    nodes = parser.pytorch_graph.nodes
    # A node's target is forward's parameter. Its name is another where Python has that name: `input` is `input_1`.
    named = {node.target: node.name for node in nodes if node.op == "placeholder"}
    if list(named) != list(tensors):
        raise ExportMismatch(f"the net has inputs {', '.join(named)}, the call gives {', '.join(tensors)}")
    outputs: list[str] = []
    [end] = [node for node in nodes if node.op == "output"]
    map_arg(end.args, lambda node: outputs.append(parser.find_name(node)))
    # Keyword arguments stand in the call's order, which may be another than forward's.
    names = [named[built.argument_name(leaf["path"])] for leaf in built.input_leaves]
    signature = flat_signature("model.prototxt", built, list(named.values()), outputs, names)
    return {**signature, "weights": "model.caffemodel"}


def _tensors(built: Built) -> dict[str, Tensor]:
    """The call's tensors by forward's parameters, in their order: brocolli makes one input of each.

    Raises ExportMismatch where an argument is none or several: brocolli would hand them to the wrong parameters.
    """
    from torch import Tensor

    tensors: dict[str, Tensor] = {}
    for name, value in built.by_name(*built.clone_inputs()).items():
        if not isinstance(value, Tensor):
            raise ExportMismatch(
                f"brocolli makes one input of each argument that is a tensor; {name!r} is a {type(value).__name__}"
            )
        tensors[name] = value
    return tensors
