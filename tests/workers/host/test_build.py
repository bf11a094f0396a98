"""From a case to its model, its inputs and what exporters need to know of them."""

from __future__ import annotations

import re
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pytest_modelconform.workers.host import files
from pytest_modelconform.workers.host.build import (
    Built,
    build,
    called_alike,
    choose_exporter_set,
    digest,
    leaf_shapes,
    normalise,
    on_device,
    with_dims,
)
from pytest_modelconform.workers.host.cases import import_file, module_name
from pytest_modelconform.workers.host.clones import clone
from pytest_modelconform.workers.host.host import handlers
from pytest_modelconform.workers.loop import WorkerError
from tests.support import runs

HEAD = """\
import torch

from pytest_modelconform import Case


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, x, mask=None, *, scale=1.0):
        return self.dropout(self.linear(x)) * scale


"""
INPUTS = '{"one": lambda: (torch.rand(1, 3),), "two": lambda: {"mask": None, "x": torch.rand(2, 3)}}'


def built(tmp_path: Path, fields: str, head: str = HEAD) -> Built:
    """Every case in a file of its own name, since a process imports each once."""
    path = runs.case_file(tmp_path, "net", f"{head}case = Case({fields})\n")
    return build(str(path), path.name, path.stem)


def test_a_case(tmp_path: Path) -> None:
    found = built(tmp_path, f"model=lambda: Net(), inputs={INPUTS}, dynamic_shapes={{'x': {{0: 'batch'}}}}")
    assert not any(module.training for module in found.model.modules())
    # "one" has a batch of 1, which torch.export takes for a constant.
    assert found.exporter_set == "two"
    [leaf] = found.input_leaves
    assert (leaf["path"], leaf["dtype"], leaf["shape"]) == ("/kwargs/x", "float32", ["batch", 3])
    assert list(found.inputs["two"][1]) == ["x", "mask"]
    assert found.dynamic_shapes["x"][0].__name__ == "batch"
    assert str(next(tmp_path.glob("net*.py"))) in found.files
    assert found.argument_name("/kwargs/x") == found.argument_name("/args/0") == "x"
    assert found.argument_name("/args/0/1") == "x_1"
    assert list(found.by_name(*found.clone_inputs("one"))) == ["x"]


@pytest.mark.parametrize(
    ("head", "call", "places", "alike"),
    [
        ("x, mask=None, *, scale=1.0", ((1, 2), {"scale": 3}), 0, ((), {"x": 1, "mask": 2, "scale": 3})),
        ("x, mask=None, *, scale=1.0", ((), {"x": 1, "mask": 2, "scale": 3}), 1, ((1,), {"mask": 2, "scale": 3})),
        ("x, mask=None", ((1,), {"mask": 2}), 2, ((1, 2), {})),
        ("x, mask=None", ((1,), {}), 2, None),
        ("x, /, mask", ((1, 2), {}), 0, None),
        ("*xs", ((1, 2), {}), 1, None),
        ("x, **more", ((1,), {"a": 2}), 0, ((), {"x": 1, "a": 2})),
        ("x, **more", ((), {"x": 1, "a": 2}), 1, ((1,), {"a": 2})),
    ],
)
def test_arguments_that_exporters_see_by_place_are_given_so(
    head: str, call: Any, places: int, alike: Any | None
) -> None:
    scope: dict[str, Any] = {}
    exec(f"def forward(self, {head}): pass", scope)
    model = type("Net", (torch.nn.Module,), {"forward": scope["forward"]})()
    assert called_alike(model, call, places) == (alike or call)


def test_train_mode(tmp_path: Path) -> None:
    assert built(tmp_path, f"model=lambda: Net(), inputs={INPUTS}, mode='train'").model.training


def test_random_numbers_are_the_cases_own(tmp_path: Path) -> None:
    fields = f"model=lambda: Net(), inputs={INPUTS}"
    path = tmp_path / "again.py"
    path.write_text(f"{HEAD}case = Case({fields})\nother = Case({fields}, seed=1)\n")
    first = build(str(path), path.name, "again")
    torch.rand(7)
    again, other = build(str(path), path.name, "again"), build(str(path), path.name, "other")
    assert first.digest == again.digest != other.digest
    assert torch.equal(first.model.state_dict()["linear.weight"], again.model.state_dict()["linear.weight"])
    assert not torch.equal(first.inputs["one"][0][0], first.inputs["two"][0][0][:1])


def test_inputs_are_cloned(tmp_path: Path) -> None:
    found = built(tmp_path, "model=lambda: Net(), inputs={'t': lambda: (torch.rand(3, 3).t(),)}")
    [x], _ = found.clone_inputs()
    assert x.stride() == (1, 3)
    x.zero_()
    assert bool(found.inputs["t"][0][0].any())


def test_files_are_looked_up_beside_the_case(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"123")
    found = built(tmp_path, f"model=lambda: Net(), inputs={INPUTS}, files=('weights.bin',)")
    assert str(tmp_path / "weights.bin") in found.files


FAULTS = [
    ("model=lambda: 3, inputs={}", "field 'inputs': give a dict"),
    (f"model=lambda: 3, inputs={INPUTS}", "field 'model': the function returned an int, not an nn.Module"),
    (f"model=lambda: Net(3), inputs={INPUTS}", r"field 'model': line 16: TypeError: "),
    (
        "model=lambda: Net(), inputs={'x': lambda: torch.rand(2)}",
        "input set 'x': the function returned a Tensor: return a tuple",
    ),
    (
        "model=lambda: Net(), inputs={'x': lambda: [torch.rand(2)]}",
        "input set 'x': the function returned a list: return a tuple",
    ),
    (
        "model=lambda: Net(), inputs={'x': lambda: ()}",
        r"input set 'x': it doesn't fit forward\(x, mask=None, \*, scale=1.0\)",
    ),
    ("model=lambda: Net(), inputs={'x': lambda: {'y': 1}}", "input set 'x': it doesn't fit forward"),
    (
        "model=lambda: Net(), inputs={'x': lambda: (1, 2, 3, 4)}",
        "doesn't fit forward.*too many positional arguments",
    ),
    ("model=lambda: Net(), inputs={'x': lambda: (torch.ones(-1),)}", "input set 'x': line 16: RuntimeError: "),
    (f"model=lambda: Net(), inputs={INPUTS}, files=('no.bin',)", "field 'files': .*no.bin doesn't exist"),
    (
        f"model=lambda: Net(), inputs={INPUTS}, dynamic_shapes={{'y': {{0: 'b'}}}}",
        "forward has no parameter 'y'; it has x, mask",
    ),
    (
        f"model=lambda: Net(), inputs={INPUTS}, dynamic_shapes={{'x': {{2: 'b'}}}}",
        "it names dimension 2 of /args/0, which has 2 dimensions in input",
    ),
    (
        f"model=lambda: Net(), inputs={INPUTS}, dynamic_shapes={{'x': {{0: torch.export.Dim('b', min=2)}}}}",
        r"field 'dynamic_shapes': dimension 0 of x is 1 in input set 'one', outside Dim\('b', min=2\): change the",
    ),
    (
        f"model=lambda: Net(), inputs={INPUTS}, dynamic_shapes={{'x': {{0: 'b'}}, 'scale': None}}",
        "field 'dynamic_shapes': names the argument 'scale', and input set 'one' gives x. Leave the entry out, or give",
    ),
    (
        "model=lambda: Net(), inputs={'one': lambda: (torch.rand(1, 3),)}, dynamic_shapes={'x': {0: 'b'}}",
        "field 'inputs': in each input set some dynamic dimension is 0 or 1",
    ),
]


@pytest.mark.parametrize(("fields", "message"), FAULTS)
def test_faults_name_case_and_field(tmp_path: Path, fields: str, message: str) -> None:
    with pytest.raises(WorkerError, match=message) as caught:
        built(tmp_path, fields)
    assert re.match(rf"case '{next(tmp_path.glob('net*.py')).stem}', (field|input set) '", str(caught.value))
    assert caught.value.stage in ("build", "collect")


def test_the_authors_part_of_the_traceback_is_kept(tmp_path: Path) -> None:
    head = HEAD + "def broken():\n    raise ValueError('deep inside')\n\n\n"
    with pytest.raises(WorkerError, match="line 17: ValueError: deep inside") as caught:
        built(tmp_path, f"model=lambda: broken(), inputs={INPUTS}", head)
    assert "in broken" in caught.value.details
    assert "workers" not in caught.value.details


# -- dynamic shapes ----------------------------------------------------------------------------------------------------


class Two(nn.Module):
    def forward(self, x: torch.Tensor, state: tuple[torch.Tensor, dict[str, torch.Tensor]]) -> torch.Tensor:
        return x + state[0] + state[1]["h"]


def test_shapes_of_nested_inputs() -> None:
    args = (torch.ones(2, 3), (torch.ones(2, 3), {"h": torch.ones(2, 1, dtype=torch.float64)}))
    spec: dict[str, Any] = {"x": {0: "batch"}, "state": [{0: "batch", 1: None}, {"h": ["batch", None]}]}
    for given in (spec, [spec["x"], spec["state"]]):
        leaves = leaf_shapes("n", "s", Two(), given, args, {})
        assert [(leaf["path"], leaf["shape"]) for leaf in leaves] == [
            ("/args/0", ["batch", 3]),
            ("/args/1/0", ["batch", 3]),
            ("/args/1/1/h", ["batch", 1]),
        ]
        assert leaves[2]["dtype"] == "float64"
    by_keyword = leaf_shapes("n", "s", Two(), spec, args[:1], {"state": args[1]})
    assert [leaf["path"] for leaf in by_keyword] == ["/args/0", "/kwargs/state/0", "/kwargs/state/1/h"]
    assert leaf_shapes("n", "s", Two(), None, args, {})[0]["shape"] == [2, 3]
    named = leaf_shapes("n", "s", Two(), {"x": {0: torch.export.Dim("rows"), 1: torch.export.Dim.AUTO}}, args, {})
    assert named[0]["shape"] == ["rows", "dim_1"]


@dataclass
class Batch:
    x: torch.Tensor
    mask: torch.Tensor | None
    y: torch.Tensor


@dataclass
class Unregistered:
    x: torch.Tensor


torch.export.register_dataclass(Batch, serialized_type_name=f"{__name__}.Batch")


def test_the_tensors_of_a_registered_dataclass_are_inputs() -> None:
    class Two(nn.Module):
        def forward(self, batch: Any, state: Any) -> None: ...

    x = torch.rand(2, 3)
    args = (OrderedDict(b=Batch(x, None, x)), Unregistered(x))
    leaves = leaf_shapes("n", "s", Two(), {"batch": {"b": [{0: "rows"}, {1: "columns"}]}}, args, {})
    assert [(leaf["path"], leaf["shape"]) for leaf in leaves] == [
        ("/args/0/b/x", ["rows", 3]),
        ("/args/0/b/y", [2, "columns"]),
    ]


def test_one_dim_for_one_name() -> None:
    found = with_dims({"x": {0: "batch", 1: 7}, "y": [("batch", None), {0: "time"}]}, {})
    assert found["x"][0] is found["y"][0][0]
    assert found["y"][1][0] is not found["x"][0]
    assert (found["x"][1], found["y"][0][1]) == (7, None)
    assert with_dims(None, {}) is None


def test_which_set_exporters_see() -> None:
    def leaves(declared: list[int | str], actual: list[int]) -> list[dict[str, Any]]:
        return [{"shape": declared, "actual": actual}]

    assert choose_exporter_set("n", {"a": leaves([1, 3], [1, 3]), "b": leaves([2, 3], [2, 3])}) == "a"
    dynamic = {"a": leaves(["b", 3], [1, 3]), "b": leaves(["b", 3], [0, 3]), "c": leaves(["b", 3], [2, 3])}
    assert choose_exporter_set("n", dynamic) == "c"


def test_the_digest_covers_everything() -> None:
    def inputs(value: torch.Tensor, **more: Any) -> dict[str, Any]:
        return {"a": ((value,), more)}

    model, x = nn.Linear(2, 2), torch.rand(3, 2)
    with torch.no_grad():
        moved = nn.Linear(2, 2)
        moved.load_state_dict(model.state_dict())
        same = digest(moved, inputs(x))
        moved.bias.add_(1e-3)
    digests = [
        digest(model, inputs(x)),
        digest(moved, inputs(x)),
        digest(model, inputs(x.t().contiguous().t())),
        digest(model, inputs(x.double())),
        digest(model, inputs(x, flag=True)),
        digest(model, inputs(x, flag=1)),
        digest(model, {"b": ((x,), {})}),
    ]
    assert len(set(digests)) == len(digests) - (1 if digests[4] == digests[5] else 0)
    assert digests[0] == same


def test_clone_keeps_kinds() -> None:
    from collections import OrderedDict, namedtuple

    kind = namedtuple("kind", ["a"])
    x = torch.ones(1)
    value = clone({"k": kind(x), "o": OrderedDict(b=[x]), "n": None, "s": "text"})
    assert isinstance(value["k"], kind)
    assert isinstance(value["o"], OrderedDict)
    assert value["k"].a is not x
    assert (value["n"], value["s"]) == (None, "text")


def test_a_case_is_moved_to_another_device_as_a_copy(tmp_path: Path) -> None:
    found = built(tmp_path, f"model=lambda: Net(), inputs={INPUTS}, dynamic_shapes={{'x': {{0: 'batch'}}}}")
    assert on_device(found, "cpu") is found
    # "meta" stands for a GPU here: a device on which nothing is shared with the CPU.
    moved = on_device(found, "meta")
    assert {p.device.type for p in moved.model.parameters()} == {"meta"}
    args, kwargs = moved.clone_inputs()
    assert (args, kwargs["x"].device.type, kwargs["mask"]) == ((), "meta", None)
    assert {p.device.type for p in found.model.parameters()} == {"cpu"}
    assert digest(found.model, found.inputs) == found.digest


# -- built when the file was imported ----------------------------------------------------------------------------------

SHARED = (
    "import torch\n\nfrom pytest_modelconform import Case\n\nnet = torch.nn.Linear(3, 3)\n"
    "case = Case(model=lambda: net, inputs={'one': lambda: (torch.rand(2, 3),)})\n"
)


def test_what_a_file_draws_at_its_import_is_the_same_in_every_process(tmp_path: Path) -> None:
    path = tmp_path / "shared_net.py"
    path.write_text(SHARED)
    first = build(str(path), path.name, path.stem)
    assert first.at_import
    del sys.modules[module_name(path.name)]
    torch.rand(7)
    assert build(str(path), path.name, path.stem).digest == first.digest
    assert not built(tmp_path, f"model=lambda: Net(), inputs={INPUTS}").at_import


def test_a_model_that_was_built_at_the_import_and_changed_since_is_named(tmp_path: Path) -> None:
    path = tmp_path / "changed_net.py"
    path.write_text(SHARED)
    first = build(str(path), path.name, path.stem)
    with torch.no_grad():
        first.model.weight.add_(1)  # type: ignore[operator]
    asked = {"file": str(path), "relative": path.name, "case": path.stem, "digest": first.digest}
    with pytest.raises(WorkerError) as caught:
        handlers("cpu", 1)["export"](asked)
    assert caught.value.stage == "build"
    assert str(caught.value).startswith(
        "case 'changed_net', field 'model': the function returns a Linear that was built when the file was imported."
    )
    assert str(caught.value).endswith("Build it inside the function: `model=lambda: Linear(…)`")


def test_a_syntax_error_shows_the_line_and_nothing_of_the_import(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("x = 1\ncase = Case(model=lambda: 1\n")
    with pytest.raises(WorkerError) as caught:
        import_file(str(path), path.name)
    # The type is said once: whoever prints the error puts its kind in front.
    assert (str(caught.value), caught.value.kind) == ("line 2: SyntaxError: '(' was never closed", "")
    assert "importlib" not in caught.value.details
    assert caught.value.details.startswith(f'  File "{path}", line 2\n    case = Case(')


def test_lazy_modules_are_given_their_weights(tmp_path: Path) -> None:
    lazy = "torch.nn.Sequential(torch.nn.LazyLinear(3), torch.nn.LazyBatchNorm1d())"
    fields = f"model=lambda: {lazy}, inputs={{'one': lambda: (torch.randn(2, 4),)}}, mode='train'"
    first, second = built(tmp_path, fields), built(tmp_path, fields)
    assert {name: tuple(value.shape) for name, value in first.model.named_parameters()} == {
        "0.weight": (3, 4),
        "0.bias": (3,),
        "1.weight": (3,),
        "1.bias": (3,),
    }
    assert first.digest == second.digest
    assert first.model.training
    assert int(first.model.get_buffer("1.num_batches_tracked")) == 0


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: torch.eye(2).to_sparse(), "sparse_coo"),
        (lambda: torch.nested.nested_tensor([torch.ones(1), torch.ones(2)], layout=torch.jagged), "nested"),
    ],
    ids=["sparse", "nested"],
)
def test_inputs_that_no_runtime_takes_are_told_with_what_to_give(make: Callable[[], torch.Tensor], kind: str) -> None:
    with pytest.raises(WorkerError, match=rf"^case 'net', input set 'one': it has a {kind} tensor, and runtimes take"):
        normalise(torch.nn.Identity(), (make(),), "net", "one")


def test_weights_in_safetensors_are_seen(tmp_path: Path) -> None:
    save_file({"weight": torch.ones(2)}, tmp_path / "weights.safetensors")
    with files.recorded() as opened:
        assert load_file(tmp_path / "weights.safetensors")["weight"].tolist() == [1.0, 1.0]
        with safetensors.safe_open(tmp_path / "weights.safetensors", framework="pt") as file:
            assert list(file.keys()) == ["weight"]
    assert opened == {str(tmp_path / "weights.safetensors")}
