"""Eager variants of tiny modules, and which of them an output is told to come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from pytest_modelconform.compare import flatten
from pytest_modelconform.diagnosis.judge import Seen
from pytest_modelconform.diagnosis.nearest import Variant, explanation
from pytest_modelconform.references import from_runs, prepared
from pytest_modelconform.references.content import InferenceAnswer
from pytest_modelconform.workers import arrays
from pytest_modelconform.workers.host.build import build
from pytest_modelconform.workers.host.host import handlers
from pytest_modelconform.workers.host.references import runs as reference
from pytest_modelconform.workers.host.variants import rewrites
from pytest_modelconform.workers.host.variants import table as variants
from pytest_modelconform.workers.loop import WorkerError
from tests.support import runs

HEAD = """\
import torch
from torch import nn

from pytest_modelconform import Case, generic_weights


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(24, 96)
        self.norm = nn.LayerNorm(96, eps=1e-5)
        self.batch_norm = nn.BatchNorm1d(96)
        self.dropout = nn.Dropout(0.2)
        self.second = nn.Linear(96, 64)

    def forward(self, x, other=None, mask=None):
        {}


case = Case(model=lambda: generic_weights(Net()), inputs={{"a": lambda: {}, "b": lambda: {}}})
"""
MLP = "return self.second(nn.functional.gelu(self.norm(self.first(x))))"
INPUT = "(torch.randn(20, 24),)"


class Made:
    """A case, its references and its variants."""

    def __init__(self, folder: Path, body: str, inputs: str = INPUT, key: str = "a", seconds: float = 60.0) -> None:
        path = runs.case_file(folder, "variants", HEAD.format(body, inputs, inputs))
        self.built = build(str(path), path.name, path.stem)
        self.folder, self.key = folder, key
        content = msgspec.convert(reference.make(self.built, str(folder)), InferenceAnswer)
        from_runs.make(folder, content)
        self.prepared = prepared.Prepared(content, "d", folder, cached=False)
        self.answer = variants.make(self.built, key, str(folder), seconds)

    @property
    def references(self) -> Mapping[str, Any]:
        return self.prepared.sets[self.key].references

    def named(self, value: Any) -> dict[str, Any]:
        """Outputs by path."""
        paths = flatten(self.prepared.sets[self.key].outputs)[1]
        values = value if isinstance(value, (tuple, list)) else [value]
        return {path: item.detach().numpy() for path, item in zip(paths, values, strict=True)}

    def variants(self) -> list[Variant]:
        keys = {key: path for path, key in flatten(self.prepared.sets[self.key].outputs)[1].items()}
        result: dict[str, Variant] = {}
        for entry in self.answer["variants"]:
            read = arrays.read(self.folder / entry["file"])
            outputs = {keys[key]: array for key, array in read.items()}
            again = result[entry["name"]].outputs if entry["kind"] == "random" and entry["name"] in result else None
            name = entry["name"] + entry["sentence"] if entry["kind"] != "random" else entry["name"]
            result[name] = Variant(entry["name"], entry["kind"], entry["sentence"], outputs, again)
        return list(result.values())

    def run(self, change: Callable[[torch.nn.Module], object] | None = None, **inputs: Any) -> dict[str, Any]:
        """What a runtime that changes the model returns."""
        model = self.built.model
        args, kwargs = self.built.clone_inputs(self.key)
        if change is not None:
            import copy

            model = copy.deepcopy(model)
            change(model)
        with torch.no_grad():
            return self.named(model(*args, **{**kwargs, **inputs}))

    def explained(self, outputs: dict[str, Any], again: dict[str, Any] | None = None, note: str = "") -> str | None:
        return explanation(Seen(self.key, self.references, outputs, again or {}), self.variants(), note)


@pytest.fixture(scope="module")
def mlp(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("mlp"), MLP)


def test_every_name_is_another() -> None:
    names = [variant.name for variant in variants.VARIANTS]
    assert len(names) == len(set(names))


def test_what_runs_and_what_is_skipped(mlp: Made) -> None:
    ran = {entry["name"] for entry in mlp.answer["variants"]}
    assert {"gelu-tanh", "eps-0.1", "eps-1e-3", "weights-float16", "weights-bfloat16", "arithmetic-tf32"} <= ran
    assert {"arithmetic-bfloat16", "autocast-bfloat16", "model-bfloat16", "zeros"} <= ran
    skipped = mlp.answer["skipped"]
    for name in ("gelu-erf", "align-corners", "count-include-pad", "variance", "eps-1e-5"):
        assert skipped[name].startswith("Unchanged")
    assert not ran & set(skipped)


def test_the_model_is_left_as_it_was(mlp: Made) -> None:
    from pytest_modelconform.workers.host.build import digest

    assert digest(mlp.built.model, mlp.built.inputs) == mlp.built.digest
    assert not any(module.training for module in mlp.built.model.modules())
    assert mlp.built.model.get_submodule("norm").eps == 1e-5


def test_without_time_nothing_runs(tmp_path: Path) -> None:
    answer = Made(tmp_path, MLP, seconds=-1.0).answer
    assert answer["variants"] == []
    assert set(answer["skipped"].values()) == {"no time or room was left"}


def larger_epsilon(model: torch.nn.Module) -> None:
    norm: Any = model.norm
    norm.eps = 1e-3


def test_causes_are_told_from_each_other(mlp: Made) -> None:
    assert str(mlp.explained(mlp.run(larger_epsilon))).startswith("the epsilons of norms are 1e-3: the outputs are ")
    net: Any = mlp.built.model
    args, _ = mlp.built.clone_inputs("a")
    with torch.no_grad():
        gelu = torch.nn.functional.gelu(net.norm(net.first(args[0])), approximate="tanh")
        found = mlp.explained(mlp.named(net.second(gelu)))
    assert str(found).startswith("GELU by tanh instead of erf: the outputs are ")


PRECISIONS = {
    "bfloat16 weights": (lambda model: rewrites.round_weights(model, rewrites.to_dtype(torch.bfloat16)), "bfloat16 w"),
    "float16 weights": (lambda model: rewrites.round_weights(model, rewrites.to_dtype(torch.float16)), "float16 w"),
}


@pytest.mark.parametrize("name", PRECISIONS)
def test_rounded_weights_are_told_exactly(mlp: Made, name: str) -> None:
    change, says = PRECISIONS[name]
    assert f"computed with {says}" in str(mlp.explained(mlp.run(change), note="as by default")), name
    assert str(mlp.explained(mlp.run(change), note="as by default")).endswith(" (as by default)")


def in_bfloat16(made: Made, dtype: torch.dtype = torch.bfloat16) -> dict[str, Any]:
    """Products of rounded factors whose results are rounded, too: no variant does just that."""
    net: Any = made.built.model
    [x], _ = made.built.clone_inputs("a")

    def narrow(value: torch.Tensor) -> torch.Tensor:
        return value.to(dtype).to(value.dtype)

    with torch.no_grad():
        hidden = narrow(x) @ narrow(net.first.weight).T + net.first.bias
        hidden = narrow(torch.nn.functional.gelu(narrow(net.norm(narrow(hidden)))))
        return made.named(narrow(hidden @ narrow(net.second.weight).T + net.second.bias))


def test_a_class_of_precision_is_named_by_what_is_lost(mlp: Made) -> None:
    found = str(mlp.explained(in_bfloat16(mlp), note="it computes in bfloat16 by default"))
    assert found.startswith("loses 1")
    assert "bits: the accuracy of bfloat16 " in found
    assert found.endswith(" (it computes in bfloat16 by default)")
    found = str(mlp.explained(in_bfloat16(mlp, torch.float16)))
    assert "bits: the accuracy of " in found
    assert "bfloat16" not in found


@pytest.mark.parametrize("size", [1e-5, 0.1, 10.0])
def test_other_errors_are_not_explained(mlp: Made, size: float) -> None:
    [path], [y] = zip(*mlp.run().items(), strict=True)
    noise = np.random.default_rng(0).standard_normal(y.shape)
    assert mlp.explained({path: (y + size * noise).astype(np.float32)}) is None


def test_one_wrong_row_of_bfloat16_size_is_no_precision(mlp: Made) -> None:
    [path], [y] = zip(*mlp.run().items(), strict=True)
    y[3] += 0.05 * np.random.default_rng(0).standard_normal(y.shape[1]).astype(np.float32)
    assert mlp.explained({path: y}) is None


def test_where_a_bias_is_all_that_is_left_no_error_is_that_of_int8(tmp_path: Path) -> None:
    """Freshly made networks let their signal die: int8 weights then leave 20 bits, and so does anything else."""
    body = "return self.second.bias + 2e-5 * (self.second(nn.functional.gelu(self.norm(self.first(x)))))"
    made = Made(tmp_path, body)
    [path], [y] = zip(*made.run().items(), strict=True)
    [int8] = [variant for variant in made.variants() if variant.name == "weights-int8"]
    size = float(np.sqrt(np.square(int8.outputs[path] - y, dtype=np.float64).mean()))
    assert np.log2(np.sqrt(np.square(y, dtype=np.float64).mean()) / size) > 18
    noise = np.random.default_rng(0).standard_normal(y.shape)
    found = {path: (y + size * noise).astype(np.float32)}
    assert Seen("a", made.references, found).wrong
    assert made.explained(found) is None


def test_a_small_epsilon_is_found_in_what_is_close(mlp: Made) -> None:
    def change(model: Any) -> None:
        model.norm.eps = 1e-6

    found = Seen("a", mlp.references, mlp.run(change))
    [judge] = found.wrong.values()
    assert judge.close
    assert str(explanation(found, mlp.variants())).startswith(
        "the epsilons of norms are a tenth of what they should be"
    )


def test_no_difference_is_not_explained(mlp: Made) -> None:
    assert mlp.explained(mlp.run()) is None


def test_train_mode_of_batch_norms(tmp_path: Path) -> None:
    made = Made(tmp_path, "return self.second(self.batch_norm(self.first(x)).relu())")
    found = made.explained(made.run(lambda model: model.get_submodule("batch_norm").train()))
    assert str(found).startswith("batch norms use the batch's own statistics, as in train mode: ")


def test_dropout_is_told_by_its_spread(tmp_path: Path) -> None:
    made = Made(tmp_path, "return self.second(self.dropout(self.norm(self.first(x))))")
    torch.manual_seed(7)
    one, two = (made.run(lambda model: model.train()) for _ in range(2))
    says = "dropout is active: runs differ from each other, and from the model, as in train mode"
    assert made.explained(one, two) == says
    # One run alone could be anything, and so could runs that differ much less.
    assert made.explained(one) is None
    near = {path: array * np.float32(1.0001) for path, array in one.items()}
    assert made.explained(one, near) is None


def test_corners_of_an_interpolation(tmp_path: Path) -> None:
    body = "return nn.functional.interpolate(x, scale_factor=2, mode='bilinear', align_corners={})"
    made = Made(tmp_path, body.format(False), "(torch.randn(2, 3, 6, 6),)")
    args, _ = made.built.clone_inputs("a")
    other = torch.nn.functional.interpolate(args[0], scale_factor=2, mode="bilinear", align_corners=True)
    assert str(made.explained(made.named(other))).startswith("align_corners is the other way round: ")


def test_epsilons_of_functions(tmp_path: Path) -> None:
    made = Made(tmp_path, "return nn.functional.group_norm(x, 4, eps=1e-5)", "(torch.randn(6, 24) / 30,)")
    args, _ = made.built.clone_inputs("a")
    other = torch.nn.functional.group_norm(args[0], 4, eps=1e-6)
    assert str(made.explained(made.named(other))).startswith("the epsilons of norms are a tenth of what they should be")


INPUTS = "{'x': torch.randn(20, 24), 'other': torch.randn(20, 24), 'mask': (torch.rand(20, 24) < 0.7).float()}"
BODY = "return self.second(self.first(x * mask + 2 * other.sin()).relu())"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda i, e: {"mask": torch.ones_like(i["mask"])}, "mask mask is ignored, as if it held 1 everywhere"),
        (lambda i, e: {"mask": 1 - i["mask"]}, "mask mask is inverted"),
        (lambda i, e: {"x": i["other"], "other": i["x"]}, "inputs x and other are swapped"),
        (lambda i, e: {"other": torch.zeros_like(i["x"])}, "input other is ignored, as if it were 0"),
        (lambda i, e: {"other": e["other"]}, "input other is ignored: the exporters' value of it was baked in"),
    ],
)
def test_inputs(tmp_path: Path, change: Callable[[Any, Any], dict[str, Any]], says: str) -> None:
    made = Made(tmp_path, BODY, INPUTS, key="b")
    inputs, exported = made.built.clone_inputs("b")[1], made.built.clone_inputs("a")[1]
    assert str(made.explained(made.run(**change(inputs, exported)))).startswith(says + ": the outputs are ")


def test_a_transposed_input_read_as_row_major(tmp_path: Path) -> None:
    made = Made(tmp_path, MLP, "(torch.randn(24, 20).T,)")
    [x], _ = made.built.clone_inputs("a")
    assert not x.is_contiguous()
    with torch.no_grad():
        y = made.named(made.built.model(x.T.reshape(20, 24)))
    assert str(made.explained(y)).startswith("input x is transposed, and was read as if it were row-major: ")


def test_attention_is_rounded_inside(tmp_path: Path) -> None:
    body = "return nn.functional.scaled_dot_product_attention(x, x, x)"
    made = Made(tmp_path, body, "(torch.randn(2, 3, 10, 16),)")
    r = made.references[""].r.reshape(2, 3, 10, 16)
    found = {variant.name: variant.outputs[""] for variant in made.variants()}
    assert 6 < np.log2(np.std(r) / np.std(found["arithmetic-bfloat16"] - r)) < 10
    assert 9 < np.log2(np.std(r) / np.std(found["arithmetic-tf32"] - r)) < 13


def test_tf32_has_ten_bits() -> None:
    value = torch.tensor([1.0, 1 + 2**-10, 1 + 2**-11, 1 + 3 * 2**-11, -(1 + 2**-11 + 2**-20), torch.inf, torch.nan])
    expected = torch.tensor([1.0, 1 + 2**-10, 1.0, 1 + 2 * 2**-10, -(1 + 2**-10), torch.inf, torch.nan])
    torch.testing.assert_close(rewrites.to_tf32(value), expected, rtol=0, atol=0, equal_nan=True)


def test_the_operation(mlp: Made, tmp_path: Path) -> None:
    """As the wire asks for it, in a host of its own."""
    host = handlers("cpu", 1)
    file = next(mlp.folder.glob("variants*.py"))
    request = {"file": str(file), "relative": file.name, "case": file.stem, "set": "a", "folder": str(tmp_path)}
    answer = host["diagnose"]({**request, "digest": mlp.built.digest, "seconds": 60.0})
    assert [entry["name"] for entry in answer["variants"]] == [entry["name"] for entry in mlp.answer["variants"]]
    assert all((tmp_path / entry["file"]).exists() for entry in answer["variants"])
    with pytest.raises(WorkerError, match="a second time gave other numbers"):
        host["diagnose"]({**request, "digest": "another", "seconds": 60.0})
