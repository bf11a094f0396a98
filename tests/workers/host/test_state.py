"""What exporters leave behind in the process is put back."""

from __future__ import annotations

import pytest
import torch

from pytest_modelconform.workers.host.state import Globals


def test_numbers_and_devices_are_those_of_before() -> None:
    before = Globals()
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    before.restore()
    assert torch.zeros(1).dtype == torch.float32
    assert torch.zeros(1).device.type == "cpu"
    assert torch.is_grad_enabled()


@pytest.mark.compiles
@pytest.mark.filterwarnings("ignore")
def test_a_failed_export_of_torch_func_is_left() -> None:
    class Score(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            score: torch.Tensor = torch.func.vmap(torch.func.grad(lambda row: row.sin().sum()))(x)
            return score

    before = Globals()
    with pytest.raises(Exception, match=r"torch\.export"):
        torch.onnx.export(Score(), (torch.rand(2, 3),), dynamo=True, verbose=False)
    before.restore()
    assert torch.rand(2).shape == (2,)
    assert torch._C._functorch.get_dynamic_layer_stack_depth() == 0
