"""Strides that are read off are those that inductor finds by simplifying; all others are left to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_modelconform.formats import strides

sympy = pytest.importorskip("sympy")
pytest.importorskip("torch")


def _symbols() -> tuple[Any, ...]:
    loops = [sympy.Symbol(name, integer=True, nonnegative=True) for name in ("d0", "d1", "d2")]
    sizes = [sympy.Symbol(name, integer=True, positive=True) for name in ("s0", "s1")]
    return (*loops, *sizes)


def _floor_div(base: Any, divisor: int) -> Any:
    from torch.utils._sympy.functions import FloorDiv

    return FloorDiv(base, divisor)


def test_which_strides_are_read_off() -> None:
    d0, d1, d2, s0, s1 = _symbols()
    half = _floor_div(s0 - 1, 2)
    table = [
        (120 * d0 + d1, d0, 120),
        (120 * d0 + d1, d1, 1),
        (120 * d0 + d1, d2, 0),
        (d0 * s0 * half + d1 * half + d2 + half, d2, 1),
        (-d0 + s0 - 1, d0, -1),
        (d0 * s0 + d1, d0, s0),
        (2 * d0 + d0 * s0 * half, d0, s0 * half + 2),
        (d0**2 + d1, d0, None),
        (_floor_div(d0, 16) + d0, d0, None),
        (sympy.Piecewise((d0, d1 < s1), (2 * d0, True)), d0, None),
        (d0 + sympy.Piecewise((s0, d1 < s1), (s1, True)), d0, None),
    ]
    for index, variable, stride in table:
        assert strides.linear_stride(index, variable) == stride, index


def _inductor() -> tuple[Any, Any]:
    from torch._inductor import sizevars
    from torch._inductor.codegen import cpp

    return cpp, sizevars


@st.composite
def indices(draw: st.DrawFn) -> Any:
    """Sums of products as index expressions are: numbers, loop variables, sizes, and floors of sizes and loops."""
    symbols = _symbols()
    *_, s0, s1 = symbols
    factors = [*symbols, _floor_div(s0 - 1, 2), _floor_div(s1 + 3, 4), _floor_div(symbols[0], 16)]
    terms = draw(st.lists(st.tuples(st.integers(-4, 200), st.lists(st.sampled_from(factors), max_size=3)), max_size=4))
    return sympy.Add(*(number * sympy.Mul(*chosen) for number, chosen in terms))


@settings(max_examples=60, deadline=None)
@given(indices(), st.integers(0, 2), st.sampled_from([None, 8, 16]))
def test_they_are_those_that_inductor_finds(index: Any, which: int, vec_length: int | None) -> None:
    from torch._inductor import sizevars

    variable = _symbols()[which]
    known = strides.linear_stride(index, variable)
    if known is None:
        return
    found = sizevars.stride_at_vec_range(index, variable, vec_length)
    if known.is_number:
        assert known == found
    else:
        # In another form perhaps: what the choice of tiles asks of it is the same.
        assert sympy.expand(known - found) == 0
        assert not found.is_number
        assert known.free_symbols == found.free_symbols


def test_inductors_function_is_asked_for_the_rest_only_and_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    cpp, sizevars = _inductor()

    asked = []

    def inductors(index: Any, var: Any, vec_length: int | None = None) -> Any:
        asked.append(index)
        return "inductor's"

    def choose(self: Any) -> Any:
        return cpp.stride_at_vec_range(s0 * d0 + d1, d0, 16)

    for module in (sizevars, cpp):
        monkeypatch.setattr(module, "stride_at_vec_range", inductors)
    monkeypatch.setattr(cpp.TilingSelect, "select_tiling", choose)
    d0, d1, _, s0, _ = _symbols()
    with strides.read_off():
        assert cpp.stride_at_vec_range(8 * d0 + d1, d0, 16) == 8
        assert cpp.TilingSelect().select_tiling() == s0
        assert asked == []
        assert sizevars.stride_at_vec_range(s0 * d0 + d1, d0, 16) == "inductor's"
        assert cpp.stride_at_vec_range(d0**2, d0) == "inductor's"
        assert asked == [s0 * d0 + d1, d0**2]
    assert sizevars.stride_at_vec_range is cpp.stride_at_vec_range is inductors
    assert cpp.TilingSelect.select_tiling is choose


def test_inductors_names_are_those_that_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would only be slow again, and nobody would notice."""
    cpp, sizevars = _inductor()

    before = sizevars.stride_at_vec_range, cpp.TilingSelect.select_tiling
    with strides.read_off():
        assert cpp.stride_at_vec_range is not before[0]
        assert cpp.TilingSelect.select_tiling is not before[1]
    monkeypatch.setattr(cpp, "stride_at_vec_range", None)
    with strides.read_off():
        assert cpp.TilingSelect.select_tiling is before[1]
