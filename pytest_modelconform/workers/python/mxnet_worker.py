"""MXNet: Gluon's SymbolBlock, on the symbol and parameters of an artifact. Runs in Python 3.8."""

from __future__ import annotations

import os
from typing import Any, Mapping, Sequence

import mxnet

from .. import flat
from ..arrays import Array
from ..loop import Handlers


def handlers(device: str, threads: int) -> Handlers:
    """Handlers for `loop.serve`. The threads are those that MXNet's libraries read from environment variables."""

    def load(request: dict[str, Any]) -> flat.Model:
        symbol = mxnet.sym.load(request["model"])
        weights = os.path.join(os.path.dirname(request["model"]), "model-0000.params")
        stored = {name.partition(":")[2] for name in mxnet.nd.load(weights)}
        inputs = [name for name in symbol.list_inputs() if name not in stored]
        block = mxnet.gluon.SymbolBlock.imports(request["model"], inputs, weights, mxnet.cpu())
        outputs = symbol.list_outputs()

        def model(feeds: Mapping[str, Array], fetches: Sequence[str]) -> Sequence[Any]:
            returned = block(*(mxnet.nd.array(feeds[name], dtype=feeds[name].dtype) for name in inputs))
            found = dict(zip(outputs, returned if isinstance(returned, (list, tuple)) else [returned]))
            return [found[name].asnumpy() for name in fetches]

        return model

    return flat.handlers({"name": "mxnet", "version": mxnet.__version__, "devices": ["cpu"]}, load)
