"""Arguments are put into the containers that a program was exported with."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch.utils import _pytree

from pytest_modelconform.workers import tensors
from pytest_modelconform.workers.host.build import encode_inputs
from pytest_modelconform.workers.python import torch_worker
from pytest_modelconform.workers.python.fitted import fitted, fitting
from pytest_modelconform.workers.torch_tensors import decode


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclass
class Batch:
    x: Any
    mask: Any
    y: Any


torch.export.register_dataclass(Batch, serialized_type_name=f"{__name__}.Batch")
_pytree._register_namedtuple(Pair, serialized_type_name=f"{__name__}.Pair")
ONE, TWO = torch.ones(2), torch.zeros(2)


def called(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


def on_the_wire(call: Any) -> Any:
    """What a worker makes of a call."""
    sent: dict[str, tensors.Tensor] = {}
    args, kwargs = encode_inputs(call[0], call[1], sent)
    values = {key: TWO if not any(tensor.data) else ONE for key, tensor in sent.items()}
    return tuple(decode(tree, values.__getitem__) for tree in args), {
        name: decode(tree, values.__getitem__) for name, tree in kwargs
    }


@pytest.mark.parametrize(
    "call",
    [
        ((OrderedDict(fine=ONE, coarse=TWO), [ONE, (TWO, None)]), {}),
        ((Pair(ONE, Pair(TWO, 3)),), {}),
        ((), {"batch": Batch(ONE, None, {"deep": TWO}), "n": 2}),
        (([Batch(ONE, TWO, None)], OrderedDict({1: Pair(TWO, ONE)})), {}),
    ],
)
def test_what_the_wire_has_no_kind_for_is_made_again(call: Any) -> None:
    args, kwargs = on_the_wire(call)
    found = fitting(called, _pytree.tree_structure(call))(*args, **kwargs)
    assert _pytree.tree_structure(found) == _pytree.tree_structure(call)
    same = zip(_pytree.tree_leaves(found), _pytree.tree_leaves(call), strict=True)
    assert all(one is two or one == two for one, two in same)


def test_mappings_are_read_by_their_keys() -> None:
    spec = _pytree.tree_structure(OrderedDict(fine=ONE, coarse=TWO))
    found = fitted({"coarse": 2, "fine": 1}, spec)
    assert (list(found.items()), type(found)) == ([("fine", 1), ("coarse", 2)], OrderedDict)
    found = fitted({"y": 2, "mask": None, "x": 1}, _pytree.tree_structure(Batch(ONE, None, TWO)))
    assert found == Batch(1, None, 2)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"fine": 1}, OrderedDict(fine=ONE, coarse=TWO)),
        ({"fine": 1, "coarse": 2, "more": 3}, OrderedDict(fine=ONE, coarse=TWO)),
        ({"x": 1, "mask": 2, "y": 3}, Batch(ONE, None, TWO)),
        ({"a": 1, "b": 2}, Pair(ONE, TWO)),
        ([1, 2], Pair(ONE, TWO)),
        ([1, 2], (ONE, TWO)),
        ((1,), (ONE, TWO)),
        (None, Batch(ONE, None, TWO)),
        ({"fine": 1, "none": None}, {"fine": ONE}),
    ],
)
def test_what_does_not_fit_is_left_for_the_program_to_refuse(value: Any, kind: Any) -> None:
    assert fitted(value, _pytree.tree_structure(kind)) is value


def test_nothing_is_done_where_the_wire_has_all_kinds() -> None:
    call = ((ONE, [TWO, {"a": None}]), {"n": (1,)})
    assert fitting(called, _pytree.tree_structure(call)) is called
    assert fitting(called, None) is called


class Net(torch.nn.Module):
    def forward(self, batch: Batch, levels: dict[str, torch.Tensor], pair: Pair) -> torch.Tensor:
        total: torch.Tensor = batch.x - 2 * batch.y + 4 * levels["fine"] - 8 * levels["coarse"] + 16 * pair.b
        return total


@pytest.fixture
def run_program(tmp_path: Path) -> Callable[[Any, Any], torch.Tensor]:
    """Exports Net for one call, and runs what is loaded with another, as the worker does."""

    def run(exported: Any, call: Any) -> torch.Tensor:
        torch.export.save(torch.export.export(Net(), exported), tmp_path / "model.pt2")
        handlers = torch_worker.handlers("cpu", torch.get_num_threads())
        handlers["load"]({"model": str(tmp_path / "model.pt2"), "format": "export"})
        sent: dict[str, tensors.Tensor] = {}
        args, kwargs = encode_inputs(call, {}, sent)
        tensors.write(str(tmp_path / "in"), sent)
        files = {"inputs": str(tmp_path / "in"), "outputs": str(tmp_path / "out")}
        handlers["run"]({"repeats": 1, **files, "args": args, "kwargs": kwargs})
        return torch.frombuffer(bytearray(tensors.read(str(tmp_path / "out"))["0"].data), dtype=torch.float32)

    return run


# PyTorch 2.14 has a fault in a warning of its own here, about examples of classes that it doesn't know.
@pytest.mark.filterwarnings("ignore")
def test_a_program_takes_what_it_was_exported_with(
    run_program: Callable[[Any, Any], torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logging.raiseExceptions", False)
    x, y, fine, coarse, b = torch.randn(5, 3)
    call = (Batch(x, None, y), OrderedDict(fine=fine, coarse=coarse), Pair(x, b))
    torch.testing.assert_close(run_program(call, call), Net()(*call))
