"""What `Operators(translations=…)` returns, sorted by exporter, or refused in words."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pytest_modelconform import Operators
from pytest_modelconform.formats import translated


def built(returned: Any) -> Any:
    return SimpleNamespace(case=SimpleNamespace(operators=Operators(translations=lambda: returned)))


def test_overloads_are_for_the_newer_exporter_and_names_for_the_older(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.onnx import utils

    done: list[tuple[Any, ...]] = []
    monkeypatch.setattr(utils, "register_custom_op_symbolic", lambda *given: done.append(("in", given[0])))
    monkeypatch.setattr(utils, "unregister_custom_op_symbolic", lambda *given: done.append(("out", given[0])))
    overload = torch.ops.aten.relu.default
    both = built({overload: print, "mine::shrink": print})
    assert translated.options(both) == {"custom_translation_table": {overload: print}}
    with contextlib.suppress(KeyError), translated.registered(both):
        done.append(("export",))
        raise KeyError
    # An exporter that fails leaves nothing behind, either.
    assert done == [("in", "mine::shrink"), ("export",), ("out", "mine::shrink")]


def test_a_case_without_translations_is_exported_as_ever() -> None:
    for operators in (None, Operators()):
        case: Any = SimpleNamespace(case=SimpleNamespace(operators=operators))
        assert translated.options(case) == {}
        with translated.registered(case):
            pass


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ([], r"translations=….* returned a list: return a dict"),
        ({"shrink": print}, r"has the key 'shrink': name an overload, torch\.ops\.mine\.shrink\.default"),
        ({torch.ops.aten.relu: print}, r"has the key .*: name an overload"),
        ({"mine::shrink": 3}, r"has 3 for mine::shrink: give a function"),
    ],
)
def test_what_is_no_translation_is_told(returned: Any, said: str) -> None:
    with pytest.raises(translated.BadTranslations, match=said):
        translated.options(built(returned))
