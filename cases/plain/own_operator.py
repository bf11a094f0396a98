"""Squareplus, an operator of one's own in C++: Barron, Squareplus: A Softplus-Like Algebraic Rectifier, 2021.

`own_operator.cpp` has it for PyTorch, gradient included; the others for ONNX Runtime, OpenVINO and ExecuTorch.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pytest_modelconform import Case, Operators, Train, generic_weights


class Mlp(nn.Module):
    """x (batch, 12) → (batch, 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(12, 16)
        self.second = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.ops.own_operator.squareplus(self.first(x), 4.0))


def translations() -> Mapping[Any, Callable[..., Any]]:
    """As a node of the domain that the library for ONNX Runtime registers: by the newer exporter, and by the older."""
    import onnxscript
    from onnx.defs import OpSchema
    from torch.onnx.symbolic_helper import parse_args

    schema = OpSchema(
        "Squareplus",
        "own_operator",
        1,
        inputs=[OpSchema.FormalParameter("x", "T")],
        outputs=[OpSchema.FormalParameter("y", "T")],
        type_constraints=[("T", ["tensor(float)"], "what the library computes in")],
        attributes=[OpSchema.Attribute("b", OpSchema.AttrType.FLOAT, "how round the bend is")],
    )
    node = onnxscript.values.Op(onnxscript.values.Opset("own_operator", 1), "Squareplus", schema)

    def squareplus(x: Any, b: float) -> Any:
        return node(x, b=b)

    @parse_args("v", "f")
    def symbolic(graph: Any, x: Any, b: float) -> Any:
        return graph.op("own_operator::Squareplus", x, b_f=b).setType(x.type())

    return {torch.ops.own_operator.squareplus.default: squareplus, "own_operator::squareplus": symbolic}


case = Case(
    model=lambda: generic_weights(Mlp()),
    inputs={"three": lambda: (torch.randn(3, 12),), "five": lambda: (torch.randn(5, 12),)},
    dynamic_shapes={"x": {0: "batch"}},
    operators=Operators(
        torch=("own_operator.cpp",),
        onnxruntime=("own_operator_onnxruntime.cpp",),
        openvino=("own_operator_openvino.cpp",),
        executorch=("own_operator_executorch.cpp",),
        translations=translations,
    ),
    train=Train(loss="mse_loss", optimizer="sgd", lr=0.1, steps=4),
    tags=("plain",),
    paper="arXiv:2112.11687",
)
