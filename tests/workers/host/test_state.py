"""What exporters leave behind in the process is put back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pytest_modelconform.workers.host import build, cases
from pytest_modelconform.workers.host.state import Globals
from tests.support import runs


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


def test_what_a_file_sets_holds_for_its_own_cases_whoever_imported_it_first(tmp_path: Path) -> None:
    """A process that takes what was collected from the cache imports the file when it builds the model."""
    folder = Path.cwd()
    setting = f"import os\nimport torch\ntorch.set_default_dtype(torch.float64)\nos.chdir({str(tmp_path)!r})\n"
    text = setting + "class Net(torch.nn.Linear):\n    def __init__(self):\n        super().__init__(2, 2)\n\n"
    text += "from pytest_modelconform import Case\n"
    text += 'case = Case(model=Net, inputs={"one": lambda: (torch.rand(1, 2),)}, fixed_inputs="one will do")\n'
    before = Globals()
    digests = []
    for is_collected in (False, True):
        path = runs.case_file(tmp_path, f"sets{is_collected}", text + f"# {is_collected}\n")
        if is_collected:
            cases.collect(str(path), path.name)
            assert torch.get_default_dtype() == torch.float32
            assert Path.cwd() == folder
        built = build.build(str(path), path.name, path.stem)
        assert Path.cwd() == tmp_path
        digests.append({parameter.dtype for parameter in built.model.parameters()})
        before.restore()
        assert torch.get_default_dtype() == torch.float32
        assert Path.cwd() == folder
    assert digests == [{torch.float64}] * 2
