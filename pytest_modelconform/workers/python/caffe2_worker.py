"""Caffe2: its Predictor, on the two nets of an artifact. Runs beside PyTorch 1.4 in Python 3.8."""

from __future__ import annotations

import os
from typing import Any, Mapping, Sequence

import torch
from caffe2.proto import caffe2_pb2
from caffe2.python import workspace

from .. import flat
from ..arrays import Array
from ..loop import Handlers


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`. The threads are those that Caffe2's libraries read from environment variables."""

    def load(request: dict[str, Any]) -> flat.Model:
        predict = read(request["model"])
        net = caffe2_pb2.NetDef()
        net.ParseFromString(predict)
        # It has a workspace of its own, which goes with it.
        predictor = workspace.Predictor(read(os.path.join(os.path.dirname(request["model"]), "init_net.pb")), predict)

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            found = dict(zip(net.external_output, predictor.run(dict(feeds))))
            return [found[name] for name in fetches]

        return model

    return flat.handlers({"name": "caffe2", "version": torch.__version__, "devices": ["cpu"]}, load)


def read(path: str) -> bytes:
    """A file's bytes."""
    with open(path, "rb") as file:
        return file.read()
