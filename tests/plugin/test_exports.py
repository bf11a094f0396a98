"""Variants of a format from the case file or the command line to the reports: columns beside the plain ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support import runs

pytest.importorskip("onnxruntime")

# `wrong` adds 1; `file` is what is in artifacts/ at the time.
CASES = (
    runs.CASE
    + """
from pytest_modelconform import Export


def stored(model, inputs, folder, add=0.0):
    class Shifted(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model(x) + add

    from _helper import opset

    torch.onnx.export(Shifted(), inputs, folder / "theirs.onnx", dynamo=False, opset_version=opset())
    return folder / "theirs.onnx"


case = Case(
    model=lambda: Net(),
    inputs={"seven": inputs["seven"]},
    fixed_inputs="the exports are what is tested",
    exports={
        "onnx-legacy@ours": Export(make=stored),
        "onnx-legacy@wrong": Export(make=lambda *call: stored(*call, add=1.0)),
        "onnx-legacy@file": Export(file="artifacts/net.onnx"),
        "onnx-legacy@typo": Export(options={"opset_versoin": 15}),
    },
)
other = Case(model=lambda: Net(), inputs={"seven": inputs["seven"]}, fixed_inputs="as above")
"""
)
EXPECTED = """
[[expect]]
cell = "net.py::net[onnx_legacy@wrong-*]"
verdict = "mismatch"
stage = "compare"
reason = "it adds 1"
"""
HELPER = "def opset():\n    return {}\n"
FORMATS = "--modelconform-formats=onnx-legacy"


def write_file(folder: Path, weight: float) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    (folder / "artifacts").mkdir(exist_ok=True)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2]) for name in "xy")
    constants = [
        numpy_helper.from_array(np.array(value, np.float32), name) for value, name in ((weight, "w"), (1.0, "b"))
    ]
    nodes = [helper.make_node("Mul", ["x", "w"], ["p"]), helper.make_node("Add", ["p", "b"], ["y"])]
    graph = helper.make_graph(nodes, "net", [x], [y], constants)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
        folder / "artifacts" / "net.onnx",
    )


def test_variants_are_columns_and_their_sources_are_part_of_them(tmp_path: Path) -> None:
    folder = runs.write(
        tmp_path / "project", {"net.py": CASES, "_helper.py": HELPER.format(15), "expected.toml": EXPECTED}
    )
    write_file(folder, 3.0)
    env = {"MODELCONFORM_CACHE": str(tmp_path / "cache")}
    given = "--modelconform-export=onnx-legacy@all: opset_version=14"
    first = runs.run(folder, "-n", "0", FORMATS, given, runtimes="ort", env=env)
    verdicts = {name: cell["verdict"] for name, cell in first.cells.items() if "eager" not in name}
    assert verdicts == {
        "net[onnx_legacy-ort-cpu]": "pass",
        "net[onnx_legacy@ours-ort-cpu]": "pass",
        "net[onnx_legacy@wrong-ort-cpu]": "mismatch",
        "net[onnx_legacy@file-ort-cpu]": "pass",
        "net[onnx_legacy@typo-ort-cpu]": "error",
        "net[onnx_legacy@all-ort-cpu]": "pass",
        "other[onnx_legacy-ort-cpu]": "pass",
        "other[onnx_legacy@all-ort-cpu]": "pass",
    }
    assert first.cells["net[onnx_legacy@wrong-ort-cpu]"]["expected"] is True
    message = first.message("net[onnx_legacy@typo-ort-cpu]")
    assert "Did you mean 'opset_version'?" in message
    # Beside their format, which they follow.
    heads = next(words for words in map(str.split, first.stdout.splitlines()) if words[:2] == ["model", "onnx-legacy"])
    assert heads == [
        "model",
        "onnx-legacy",
        *(f"onnx-legacy@{name}" for name in ("all", "file", "ours", "typo", "wrong")),
    ]
    assert "--modelconform-formats=onnx-legacy@typo" in first.failure("net.py::net[onnx_legacy@typo-ort-cpu]")
    assert first.report["environment"]["options"]["exports"] == {"onnx-legacy@all": given.partition("=")[2]}

    # One that is named alone; and the file, or what the function imports, are others now.
    write_file(folder, 5.0)
    only = "--modelconform-formats=onnx-legacy@file,onnx-legacy@ours,onnx-legacy@all"
    second = runs.run(folder, "-n", "0", only, given, "-k", "not other", runtimes="ort", env=env)
    found = {name: (cell["verdict"], cell["cached"]) for name, cell in second.cells.items() if "eager" not in name}
    assert found == {
        "net[onnx_legacy@ours-ort-cpu]": ("pass", True),
        "net[onnx_legacy@file-ort-cpu]": ("mismatch", False),
        "net[onnx_legacy@all-ort-cpu]": ("pass", True),
    }
    write_file(folder, 3.0)
    (folder / "_helper.py").write_text(HELPER.format(16))
    given = given.replace("14", "13")
    third = runs.run(folder, "-n", "0", only, given, "-k", "not other", runtimes="ort", env=env)
    found = {name: (cell["verdict"], cell["cached"]) for name, cell in third.cells.items() if "eager" not in name}
    assert found == {
        "net[onnx_legacy@ours-ort-cpu]": ("pass", False),
        "net[onnx_legacy@file-ort-cpu]": ("pass", False),
        "net[onnx_legacy@all-ort-cpu]": ("pass", False),
    }


CONVERTED = (
    runs.CASE
    + """
from pytest_modelconform import Export

theirs = {f"onnx-fp16@{name}": Export(file=f"artifacts/{name}.onnx") for name in ("right", "wrong")}
net = Case(model=lambda: Net(), inputs=inputs, fixed_inputs="the exports are what is tested", exports=theirs)
graph = Case(
    model=lambda: __file__.replace("net.py", "artifacts/model.onnx"),
    framework="onnx",
    inputs={"a": lambda: (torch.rand(2, 2).numpy(),)},
    fixed_inputs="as above",
    exports=theirs | {f"onnx@{name}": Export(file=f"artifacts/{name}.onnx") for name in ("right", "wrong")},
)
"""
)


def test_a_file_stands_for_what_would_be_converted_whatever_the_model_is_written_in(tmp_path: Path) -> None:
    folder = runs.write(tmp_path / "project", {"net.py": CONVERTED})
    names = {"model": 3.0, "right": 3.0, "wrong": 5.0}
    for name, weight in names.items():
        write_file(folder, weight)
        (folder / "artifacts" / "net.onnx").rename(folder / "artifacts" / f"{name}.onnx")
    variants = [f"{name}@{which}" for name in ("onnx", "onnx-fp16") for which in ("right", "wrong")]
    found = runs.run(folder, "-n", "0", f"--modelconform-formats={','.join(variants)}", runtimes="ort")
    assert {name: cell["verdict"] for name, cell in found.cells.items() if "eager" not in name} == {
        f"{column}@{which}-ort-cpu]": verdict
        for column in ("net[onnx_fp16", "graph[onnx_fp16", "graph[onnx")
        for which, verdict in (("right", "pass"), ("wrong", "mismatch"))
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--modelconform-export=onnx: opset_version"], "the options can't be read"),
        (["--modelconform-export=iree@a: b=1"], "the format iree has no options"),
        (["--modelconform-export=onxx@a: b=1"], "unknown format 'onxx'. Did you mean 'onnx'?"),
        (["--modelconform-export=openvino@half: compress_to_fp16=True"], "Add openvino to --modelconform-formats."),
        (["--modelconform-formats=onnx-legacy@our"], "no case that was collected has exports={'onnx-legacy@our': …}"),
        (["--modelconform-require=onnx-legacy@our", FORMATS], "exports={'onnx-legacy@our': …}"),
    ],
)
def test_names_that_nothing_stands_for(
    options: list[str], said: str, tmp_path: Path, pytester: pytest.Pytester
) -> None:
    folder = runs.write(tmp_path, {"net.py": runs.PLAIN})
    found = runs.run_here(pytester, folder, "--modelconform-formats=onnx", *options, runtimes="ort,openvino")
    assert found.status == 4
    assert said in " ".join((found.stdout + found.stderr).split())
