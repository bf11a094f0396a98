"""Caffe2, MXNet, Caffe, TensorFlow and Keras, each as it was published, in environments of their own.

These take minutes and gigabytes the first time, when the environments are installed: into the user's own cache, so that
it is once.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from pytest_modelconform.formats import caffe as caffe_format
from pytest_modelconform.runtimes import caffe, caffe2, keras, mxnet, tensorflow
from tests.support import runs, shared
from tests.support.runs import Run

pytestmark = pytest.mark.installs

RUNTIMES = [module.NAME for module in (caffe2, mxnet, caffe, tensorflow, keras)]
# Formats, and where their weights are.
FILES = {
    "caffe2": "init_net.pb",
    "mxnet": "model-0000.params",
    "caffe": "model.caffemodel",
    "tensorflow": "saved_model/saved_model.pb",
}

MORE = """\
import torch
from torch import nn

from pytest_modelconform import Case


class Image(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        nn.init.constant_(self.conv.weight, 5.5)
        nn.init.constant_(self.conv.bias, -7.25)

    def forward(self, x):
        return torch.relu(self.conv(x))


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 4)

    def forward(self, tokens, scale):
        found = self.embedding(tokens) * scale
        return {"sum": found.sum(1), "tokens": tokens + 1}


class Swapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)

    def forward(self, input, y):
        return self.conv(input) + y


class Listed(Swapped):
    def forward(self, xs):
        return self.conv(xs[0]) + xs[1]


image = Case(
    model=lambda: Image(),
    inputs={"two": lambda: (torch.rand(2, 1, 6, 5),), "one": lambda: (torch.rand(1, 1, 6, 5),)},
    dynamic_shapes={"x": {0: "batch"}},
)
two = Case(
    model=lambda: Two(),
    inputs={"a": lambda: {"tokens": torch.randint(0, 10, (2, 3)), "scale": torch.rand(2, 3, 4)}},
    dtypes=("float32", "bfloat16"),
)
swapped = Case(
    model=lambda: Swapped(),
    inputs={"a": lambda: {"y": torch.rand(1, 2, 4, 3), "input": torch.rand(1, 1, 6, 5)}},
)
listed = Case(
    model=lambda: Listed(),
    inputs={"a": lambda: ([torch.rand(1, 1, 6, 5), torch.rand(1, 2, 4, 3)],)},
)
"""


ENVIRONMENTS = [*(module.ENVIRONMENT for module in (caffe2, mxnet, caffe, tensorflow)), caffe_format.ENVIRONMENT]


def cell(case: str, runtime: str, dtype: str = "") -> str:
    return f"{case}[{'tensorflow' if runtime == 'keras' else runtime}-{runtime}-cpu{dtype}]"


def run(folder: Path, *cases: str) -> Run:
    options = (f"--modelconform-formats={','.join(FILES)}", "--modelconform-threads=0")
    env = {"MODELCONFORM_CACHE": str(folder / "cache")}
    return runs.run(folder, *options, *cases, runtimes=",".join(RUNTIMES), env=env, seconds=2400)


@pytest.fixture
def seen(session_folder: Path) -> Run:
    def make(folder: Path) -> Run:
        for environment in ENVIRONMENTS:
            shared.installed(environment)
        shared.cache_in(folder)
        runs.write(folder, {"plain.py": runs.PLAIN, "more.py": MORE})
        return run(folder)

    return runs.once(session_folder, "old-frameworks", make)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_convolution_runs_in_all(seen: Run, runtime: str) -> None:
    name = cell("image", runtime)
    assert seen.verdict(name) == ("pass", None), seen.stdout
    assert seen.cells[name]["bits"] > 20
    # Of the other batch, too.
    assert seen.cells[name]["inputs"]["one"]["verdict"] == "pass"


@pytest.mark.parametrize("runtime", ["caffe2", "mxnet", "tensorflow", "keras"])
def test_constants_are_kept(seen: Run, runtime: str) -> None:
    assert seen.verdict(cell("plain", runtime)) == ("pass", None)


def test_caffe_has_layers_only(seen: Run) -> None:
    # brocolli leaves the constant out, without a word.
    assert seen.verdict(cell("plain", "caffe")) == ("error", "run")
    assert "inputs.size() >= 2" in seen.message(cell("plain", "caffe"))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_keyword_arguments_may_stand_in_another_order_than_forwards(seen: Run, runtime: str) -> None:
    assert seen.verdict(cell("swapped", runtime)) == ("pass", None), seen.stdout


def test_caffe_has_an_input_for_each_argument(seen: Run) -> None:
    assert seen.verdict(cell("listed", "caffe")) == ("error", "export")
    assert "'xs' is a list" in seen.message(cell("listed", "caffe"))


@pytest.mark.parametrize("runtime", ["tensorflow", "keras"])
def test_several_tensors_of_several_dtypes(seen: Run, runtime: str) -> None:
    assert seen.verdict(cell("two", runtime)) == ("pass", None)
    assert seen.verdict(cell("two", runtime, "-bfloat16")) == ("pass", None)
    assert seen.cells[cell("two", runtime)]["inputs"]["a"]["outputs"]["output['tokens']"]["dtype"] == "int64"


@pytest.mark.parametrize("runtime", ["caffe2", "mxnet", "caffe"])
def test_a_dtype_that_they_do_not_have_is_a_stated_limit(seen: Run, runtime: str) -> None:
    name = cell("two", runtime, "-bfloat16")
    assert seen.verdict(name) == ("unsupported", "export")
    assert seen.message(name).startswith(f"format {runtime} can't: bfloat16: ")


def test_integers_in_caffe2_are_integers(seen: Run) -> None:
    assert seen.verdict(cell("two", "caffe2")) == ("pass", None)


def test_mxnets_reader_makes_floats_of_integers(seen: Run) -> None:
    # It adds a float 1 to the tokens.
    assert seen.verdict(cell("two", "mxnet")) == ("error", "run")
    assert "Incompatible attr in node /Add" in seen.message(cell("two", "mxnet"))


def test_another_weight_is_seen_in_all(seen: Run, session_folder: Path) -> None:
    folder = session_folder / "old-frameworks"
    tampered = []
    for path in (folder / "cache" / "artifacts").glob("*/signature.json"):
        weights = path.parent / FILES.get(json.loads(path.read_text())["format"], "none")
        if weights.exists() and struct.pack("<f", 5.5) in (content := weights.read_bytes()):
            weights.write_bytes(content.replace(struct.pack("<f", 5.5), struct.pack("<f", 5.505)))
            tampered.append(weights.name)
            # What a host made that had made others would be made anew by a fresh one, and be right again.
            made = path.with_name("export.json")
            made.write_text(json.dumps({**json.loads(made.read_text()), "fresh": True}))
    assert len(tampered) == len(FILES)
    second = run(folder, *(f"more.py::{cell('image', runtime)}" for runtime in RUNTIMES))
    for runtime in RUNTIMES:
        assert second.verdict(cell("image", runtime)) == ("mismatch", "compare"), runtime
