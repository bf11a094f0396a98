"""Cases in other frameworks: how they are found, where they have cells, and runs of them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from pytest_modelconform import environments
from pytest_modelconform.cells.case_files import Declared, static_cases
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.formats.frameworks import FRAMEWORKS, TENSORFLOW
from pytest_modelconform.runtimes import tensorflow
from tests.support import runs, shared
from tests.support.runs import Run

pytestmark = pytest.mark.compiles

# y = relu(x · w + b), and index + 1.
ONNX = """\
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pytest_modelconform import Case


def build():
    weights = {"w": np.float32([[5.5, -7.25], [0.3, 0.7]]), "b": np.float32([0.1, -0.6]), "one": np.int64([1])}
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["p"]),
        helper.make_node("Relu", ["p"], ["y"]),
        helper.make_node("Add", ["index", "one"], ["next"]),
    ]
    values = {"x": ["n", 2], "y": ["n", 2], "index": ["n"], "next": ["n"]}
    kinds = {"index": TensorProto.INT64, "next": TensorProto.INT64}
    info = {k: helper.make_tensor_value_info(k, kinds.get(k, TensorProto.FLOAT), shape) for k, shape in values.items()}
    graph = helper.make_graph(
        nodes, "g", [info["x"], info["index"]], [info["y"], info["next"]],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def call(n):
    return np.random.normal(size=(n, 2)).astype(np.float32), np.arange(n)


inputs = {"three": lambda: call(3), "one": lambda: call(1)}
shapes = ({0: "n"}, {0: "n"})
graph = Case(model=build, framework="onnx", inputs=inputs, dynamic_shapes=shapes)
"""
JAX = """\
import jax.numpy as jnp
import numpy as np

from pytest_modelconform import Case


def apply(tree, x):
    hidden = jnp.tanh(x @ tree["w"])
    return {"z": hidden, "a": hidden.sum(axis=1)}


def rows(n):
    return (np.random.normal(size=(n, 2)).astype(np.float32),)


pair = Case(
    model=lambda: (apply, {"w": np.float32([[5.5, -0.25], [0.3, 0.7]])}),
    framework="jax",
    inputs={"two": lambda: rows(2), "one": lambda: rows(1)},
    dynamic_shapes=({0: "n"},),
)
"""
# The first case that isn't PyTorch's says where the file is imported: none of it needs Keras.
WRONG = f"""{ONNX}
cast = Case(model=build, framework="keras", dtypes=("float32", "bfloat16"), inputs=inputs)
unknown = Case(model=build, framework="flax", inputs=inputs)
other = Case(model=lambda: (abs, {{}}), framework="onnx", inputs=inputs)
"""
# A JAX that this machine has not: known without running the file, which would fail.
LACKING = """\
import dataclasses

from pytest_modelconform.formats.frameworks import FRAMEWORKS

FRAMEWORKS["jax"] = dataclasses.replace(FRAMEWORKS["jax"], requires=("torch", "no-such-framework>=2"))
"""
EXPECTED = """\
[[expect]]
cell = "*"
verdict = "mismatch"
reason = "a weight is another one"
"""
OPTIONS = ("--modelconform-formats=onnx,export,stablehlo", "--modelconform-threads=0")
WEIGHT = struct.pack("<f", 5.5)


def run(folder: Path, *arguments: str) -> Run:
    return runs.run(folder, *OPTIONS, *arguments, runtimes="torch,ort,jax", seconds=900)


@pytest.fixture
def seen(session_folder: Path) -> Run:
    def make(folder: Path) -> Run:
        runs.write(folder, {"graph.py": ONNX, "pair.py": JAX, "wrong.py": WRONG})
        return run(folder)

    return runs.once(session_folder, "frameworks", make)


# -- what is known without running a file ------------------------------------------------------------------------------


def test_the_framework_is_known_from_the_syntax(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(
        "import keras\nfrom pytest_modelconform import Case\nNAME = 'jax'\n"
        "case = Case(model=f, inputs={}, framework='keras')\nplain = Case(model=f, inputs={})\n"
        "computed = Case(model=f, inputs={}, framework=NAME)\n"
    )
    assert [(case.name, case.framework) for case in static_cases(path)] == [
        ("net", "keras"),
        ("plain", "torch"),
        ("computed", "torch"),
    ]


def test_a_framework_that_lacks_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Declared("net", framework="onnx").missing() is None
    monkeypatch.setattr(environments, "unavailable", lambda environment: f"no Python for {environment.name}")
    assert Declared("net", framework="keras").missing() == "no Python for tensorflow-cases"
    assert Declared("net", framework="jax").missing() is None


def test_without_its_framework_a_case_is_unavailable(tmp_path: Path) -> None:
    absent = JAX.replace("import jax.numpy", "import no_such_framework.numpy")
    runs.write(tmp_path, {"pair.py": absent, "conftest.py": LACKING})
    # No other format: none that this case has no cell in may be named.
    seen = runs.run(tmp_path, "--modelconform-formats=stablehlo", runtimes="jax")
    assert seen.verdict("pair[stablehlo-jax-cpu]") == ("unavailable", "environment"), seen.stdout
    assert "case 'pair' needs no-such-framework>=2: pip install 'no-such-framework>=2'" in seen.stdout


# -- where a framework's cases have cells ------------------------------------------------------------------------------


@pytest.fixture
def registry() -> Registry:
    made = Registry()
    register_built_in(made)
    return made


@pytest.mark.parametrize(
    ("framework", "wanted"),
    [
        ("onnx", {"onnx-ort", "export-torch", "torchscript-trace-torch"}),
        # Its SavedModels are made from StableHLO.
        ("jax", {"stablehlo-jax", "tensorflow-tensorflow", "tensorflow-keras"}),
        ("keras", {"onnx-ort", "tensorflow-tensorflow", "tensorflow-keras", "litert-litert"}),
        ("tensorflow", {"onnx-ort", "tensorflow-tensorflow", "tensorflow-keras", "litert-litert"}),
    ],
)
def test_cells_are_of_formats_that_hold_the_framework(registry: Registry, framework: str, wanted: set[str]) -> None:
    formats = ("torchscript-trace", "torchscript-script", "export", "onnx", "stablehlo", "tensorflow", "litert", "aoti")
    runtimes = ("torch", "ort", "jax", "tensorflow", "keras", "litert")
    cells = registry.cells("a.py", "a", formats, runtimes, ("cpu",), framework=framework)
    assert {f"{cell.format}-{cell.runtime}" for cell in cells} == wanted
    assert framework in FRAMEWORKS
    assert not registry.holds("torchscript-script", framework)
    assert registry.holds("torchscript-script", "torch")


def test_a_format_is_made_from_another_only_where_it_has_to_be(registry: Registry) -> None:
    assert registry.made_through("tensorflow", "keras") == ["tensorflow"]
    through = registry.made_through("tensorflow", "torch")
    assert through[0] == "tensorflow"
    assert len(through) > 1
    assert registry.made_through("mnn", "onnx") == registry.made_through("mnn", "keras") == ["mnn", "onnx"]
    # JAX has no ONNX to make it from.
    assert registry.made_through("mnn", "jax") == ["mnn", "onnx"]
    assert not registry.holds("mnn", "jax")
    assert registry.holds("mnn", "onnx")


# -- runs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["graph[onnx-ort-cpu]", "graph[export-torch-cpu]", "pair[stablehlo-jax-cpu]"])
def test_models_run_where_their_formats_do(seen: Run, cell: str) -> None:
    for name in (cell, f"{cell.partition('[')[0]}[eager]"):
        assert seen.verdict(name) == ("pass", None), seen.stdout
    # Also of the other batch; and the numbers are float32's, not a float64 reference that is none.
    assert seen.cells[cell]["inputs"]["one"]["verdict"] == "pass"
    assert 18 < seen.cells[cell]["bits"] < 64


def test_only_these_cells(seen: Run) -> None:
    assert {name for name in seen.cells if name.startswith("pair")} == {"pair[eager]", "pair[stablehlo-jax-cpu]"}


def test_outputs_keep_their_names_and_dtypes(seen: Run) -> None:
    outputs = seen.cells["graph[onnx-ort-cpu]"]["inputs"]["three"]["outputs"]
    assert {path: value["dtype"] for path, value in outputs.items()} == {"output[0]": "float32", "output[1]": "int64"}
    # A dict that isn't in the alphabet's order, as which JAX keeps it.
    outputs = seen.cells["pair[stablehlo-jax-cpu]"]["inputs"]["two"]["outputs"]
    assert set(outputs) == {"output['a']", "output['z']"}


def test_what_is_declared_wrongly_is_named(seen: Run) -> None:
    says = "case 'cast', field 'framework': a model in keras can't have the field 'dtypes': leave it out"
    assert seen.verdict("cast[collect]") == ("error", "collect")
    assert says in seen.message("cast[collect]")
    assert seen.verdict("unknown[collect]") == ("error", "collect")
    assert "unknown framework 'flax'; known: torch, onnx, jax, keras, tensorflow" in seen.message("unknown[collect]")
    assert seen.verdict("other[eager]") == ("error", "build")
    assert "a model in ONNX is a path or an onnx.ModelProto, not a tuple" in seen.message("other[eager]")


def test_another_weight_is_seen(seen: Run, session_folder: Path, cache: Path) -> None:
    tampered = set()
    for signature in (cache / "artifacts").glob("*/signature.json"):
        said = json.loads(signature.read_text())
        if said["file"] not in ("model.onnx", "model.jax"):
            continue
        path = signature.parent / said["file"]
        if WEIGHT in (content := path.read_bytes()):
            path.write_bytes(content.replace(WEIGHT, struct.pack("<f", 5.505)))
            tampered.add(said["format"])
            # Else it is made again before it is blamed, since a used case host has made it.
            made = signature.parent / "export.json"
            made.write_text(json.dumps({**json.loads(made.read_text()), "fresh": True}))
    assert tampered >= {"onnx", "stablehlo"}
    names = ("graph[onnx-ort-cpu]", "pair[stablehlo-jax-cpu]")
    # What is expected is neither tried again nor diagnosed.
    (session_folder / "frameworks" / "expected.toml").write_text(EXPECTED)
    second = run(session_folder / "frameworks", *(f"{name.partition('[')[0]}.py::{name}" for name in names))
    for name in names:
        assert second.verdict(name) == ("mismatch", "compare"), second.stdout


# -- Keras and TensorFlow, in their environments -----------------------------------------------------------------------

KERAS = """\
import keras
import numpy as np
import tensorflow as tf

from pytest_modelconform import Case


def build(activation="relu"):
    keras.utils.set_random_seed(0)
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, activation=activation, bias_initializer="random_normal")(images)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, keras.layers.Dense(5, bias_initializer="random_normal")(x))


class Net(tf.Module):
    def __init__(self):
        self.w = tf.Variable(np.float32([[5.5, -0.25], [0.3, 0.7]]))

    @tf.function
    def __call__(self, x, index):
        return {"z": tf.nn.softplus(x @ self.w), "a": index + 1}


def images(n, size):
    return (np.random.normal(size=(n, size, size, 3)).astype(np.float32),)


layers = Case(
    model=build,
    framework="keras",
    inputs={"two": lambda: images(2, 8), "one": lambda: images(1, 10)},
    dynamic_shapes=({0: "n", 1: "h", 2: "w"},),
)
module = Case(
    model=lambda: Net(),
    framework="tensorflow",
    inputs={"two": lambda: (np.random.normal(size=(2, 2)).astype(np.float32), np.arange(2))},
    dynamic_shapes=({0: "n"}, {0: "n"}),
)
second = Case(model=lambda: build("gelu"), framework="keras", inputs={"two": lambda: images(2, 8)})
wide = Case(model=build, framework="keras", dtypes=("float32", "bfloat16"), inputs={"two": lambda: images(2, 8)})
"""
IN_TENSORFLOW = [TENSORFLOW, tensorflow.ENVIRONMENT]


@pytest.mark.installs
def test_keras_and_tensorflow_as_savedmodel_litert_and_onnx(session_folder: Path) -> None:
    for environment in IN_TENSORFLOW:
        shared.installed(environment)
    folder = session_folder / "tensorflow-cases"
    shared.cache_in(folder)
    runs.write(folder, {"layers.py": KERAS})
    options = ("--modelconform-formats=onnx,tensorflow,litert", "--modelconform-threads=0")
    env = {"MODELCONFORM_CACHE": str(folder / "cache")}
    seen = runs.run(folder, *options, runtimes="ort,tensorflow,keras,litert", env=env, seconds=1800)
    for case in ("layers", "module"):
        for cell in ("eager", "onnx-ort-cpu", "tensorflow-tensorflow-cpu", "tensorflow-keras-cpu", "litert-litert-cpu"):
            assert seen.verdict(f"{case}[{cell}]") == ("pass", None), seen.stdout
    assert seen.cells["layers[onnx-ort-cpu]"]["inputs"]["one"]["verdict"] == "pass"
    outputs = seen.cells["module[onnx-ort-cpu]"]["inputs"]["two"]["outputs"]
    assert {path: value["dtype"] for path, value in outputs.items()} == {
        "output['z']": "float32",
        "output['a']": "int64",
    }
    # What failed is tried again in a fresh process, in which Keras counts its layers from the beginning.
    assert seen.verdict("second[onnx-ort-cpu]") == ("error", "load"), seen.stdout
    assert "Erfc" in seen.message("second[onnx-ort-cpu]")
    assert seen.verdict("second[litert-litert-cpu]") == ("pass", None)
    says = "case 'wide', field 'framework': a model in keras can't have the field 'dtypes': leave it out"
    # The file was collected by its syntax: what is wrong with a case is the verdict of its cells.
    wide = {name: seen.verdict(name) for name in seen.cells if name.startswith("wide[")}
    assert set(wide.values()) == {("error", "collect")}, wide
    assert says in seen.message("wide[eager]")
