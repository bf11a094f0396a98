"""What a signature says of the classes that a program takes and returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from pytest_modelconform.workers.host import containers


@dataclass
class Given:
    x: torch.Tensor


@dataclass
class Found:
    y: torch.Tensor


class Pair(NamedTuple):
    a: torch.Tensor


torch.utils._pytree._register_namedtuple(Pair, serialized_type_name="modelconform.Pair")
for kind in (Given, Found):
    torch.export.register_dataclass(kind, serialized_type_name=f"modelconform.{kind.__name__}")


class Net(nn.Module):
    def forward(self, given: Any, more: dict[str, torch.Tensor]) -> Any:
        y = (given.x if isinstance(given, Given) else given) + more["one"]
        return ({"found": Found(y)}, y.relu()) if isinstance(given, Given) else [y, {"more": y.relu()}]


def program(given: Any) -> torch.export.ExportedProgram:
    return torch.export.export(Net(), (given, {"one": torch.ones(2)}))


def test_modules_of_classes_at_any_depth_of_inputs_and_outputs() -> None:
    found = containers.signed(program(Given(torch.randn(2))))
    assert found["containers"] == [__name__]
    [note] = found["notes"]
    assert f"`import {__name__}` first" in note


def test_tuples_lists_and_dicts_are_known_everywhere() -> None:
    assert containers.signed(program(torch.randn(2))) == {}


def test_a_named_tuple_has_a_class_of_its_own() -> None:
    class First(nn.Module):
        def forward(self, pair: Pair) -> torch.Tensor:
            return pair.a + 1

    found = containers.signed(torch.export.export(First(), (Pair(torch.ones(2)),)))
    assert found["containers"] == [__name__]
    assert "which registers Pair" in found["notes"][0]


def test_a_class_of_the_case_file_is_left_out(monkeypatch: Any) -> None:
    made = program(Given(torch.randn(2)))
    for kind in (Given, Found):
        monkeypatch.setattr(kind, "__module__", "modelconform_cases.net")
    assert containers.signed(made) == {}


def test_what_a_function_registers_is_called(monkeypatch: Any) -> None:
    made = program(Given(torch.randn(2)))
    function = "transformers.integrations.executorch:register_dynamic_cache_export_support"
    monkeypatch.setattr(containers, "_BY_FUNCTION", {(__name__, "Found"): function})
    found = containers.signed(made)
    assert found["containers"] == [__name__, function]
    assert "register_dynamic_cache_export_support; register_dynamic_cache_export_support()" in found["notes"][0]
