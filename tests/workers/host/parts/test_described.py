"""What is said of operators and of calls of submodules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_modelconform.workers.host.parts.programs import answer
from tests.workers.host.parts.models import part_file

TEXT = """\
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x, scale=1.0):
        return self.act(self.conv(x)) * scale


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block()

    def forward(self, x):
        y = nn.functional.avg_pool2d(self.block(x, scale=2.0), 3, 2, ceil_mode=True)
        if FLAG and float(y.sum()) > 1e9:
            y = y * 2
        return {"pooled": y, "places": y.flatten(1).argmax(1)}


net = Case(model=lambda: generic_weights(Net()), inputs={"one": lambda: (torch.randn(2, 3, 8, 8),)})
"""


def asked(tmp_path: Path, flag: bool = False, way: str = "") -> dict[str, Any]:
    path = part_file(tmp_path, TEXT.replace("FLAG", str(flag)))
    return answer(str(path), path.name, "net", "float32", way)


def test_operators(tmp_path: Path) -> None:
    found = asked(tmp_path)
    assert (found["way"], found["problem"], found["returned"]) == ("operators", "", ["avg_pool2d", "argmax"])
    conv, relu, mul, pool, flatten, argmax = found["operators"]
    assert conv["call"] == "aten.conv2d(x, block.conv.weight, block.conv.bias)"
    assert (conv["module"], conv["kind"], conv["takes"]) == ("block.conv", "Conv2d", ["x"])
    assert relu["target"] == "aten.relu.default"
    assert mul["source"] == "return self.act(self.conv(x)) * scale"
    assert (mul["module"], mul["kind"]) == ("block", "Block")
    assert pool["call"] == f"aten.avg_pool2d({mul['name']}, [3, 3], [2, 2], [0, 0], True)"
    assert (pool["inputs"], pool["returns"]) == (["float32[2, 4, 6, 6]"], ["float32[2, 4, 3, 3]"])
    assert Path(pool["file"]).parent == tmp_path
    assert Path(pool["file"]).read_text().splitlines()[pool["line"] - 1].strip() == pool["source"]
    assert [each["comparable"] for each in (pool, flatten, argmax)] == [True, True, False]


def test_submodules_where_there_is_no_program(tmp_path: Path) -> None:
    found = asked(tmp_path, flag=True)
    assert found["way"] == "submodules"
    assert found["problem"].startswith("torch.export can't capture the model: ")
    assert "\n" not in found["problem"]
    block, conv, act = found["operators"]
    assert (block["name"], block["kind"], block["comparable"]) == ("block", "Block", True)
    assert (conv["name"], act["name"], act["takes"]) == ("block.conv", "block.act", ["block.conv"])
    assert found["parents"] == {"block.conv": "block", "block.act": "block"}
    # They can be asked for of any model.
    assert [each["name"] for each in asked(tmp_path, way="submodules")["operators"]] == [
        "block",
        "block.conv",
        "block.act",
    ]
