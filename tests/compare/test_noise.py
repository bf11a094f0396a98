"""References: groups, eager's noise, positions that aren't ordinary, outputs that can't be compared with."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from pytest_modelconform.compare import Reference, compare_tensor, make_reference
from pytest_modelconform.compare.groups import BLOCK, GroupMinimum, GroupSums, Layout
from pytest_modelconform.terms.case import Tolerance

Array = np.ndarray[Any, Any]
SHAPES = [
    (),
    (1,),
    (7,),
    (64, 1),
    (64, 64),
    (3, 5, 7),
    (2, 3, 8, 9),
    (1, 100, 4),
    (5, 1, 5, 200),
    (30, 2, 30),
    (2, 20000),
    (20000, 3),
    (2, 30011, 3),
    (BLOCK + 1,),
    (65, 300, 2),
    (400, 64),
]


def noisy(r: Array, seed: int, dtype: Any = np.float32, size: float = 2.0**-23) -> Array:
    """What eager might return: r with relative noise of about an ulp."""
    random = np.random.default_rng(seed)
    array: Array = np.asarray(r * (1 + size * random.standard_normal(r.shape))).astype(dtype)
    return array


def reference_of(r: Array, dtype: str = "float32", numpy_dtype: Any = np.float32, size: float = 2.0**-23) -> Reference:
    runs = [noisy(r, seed, numpy_dtype, size) for seed in range(5)]
    return make_reference(np.asarray(r), runs[0], runs[1:], dtype)


def naive_groups(shape: tuple[int, ...]) -> list[tuple[Any, ...]]:
    groups: list[tuple[Any, ...]] = [tuple(slice(None) for _ in shape)]
    for axis, length in enumerate(shape):
        if length > 1 and np.prod(shape) // length >= 64:
            groups += [tuple(i if a == axis else slice(None) for a in range(len(shape))) for i in range(length)]
    return groups


# -- groups ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_and_minima_over_groups(shape: tuple[int, ...]) -> None:
    layout = Layout(shape)
    values = np.random.default_rng(0).random(shape)
    groups = naive_groups(shape)
    assert layout.groups == len(groups)
    sums = GroupSums(layout)
    end = 0
    for tile in layout.tiles():
        assert (tile.start, tile.stop - tile.start) == (end, tile.rows * tile.width)
        end = tile.stop
        sums.add(tile, values.reshape(-1)[tile.start : tile.stop])
    assert end == values.size
    np.testing.assert_allclose(sums.totals(), [values[group].sum() for group in groups], rtol=1e-12)
    np.testing.assert_array_equal(layout.counts(), [values[group].size for group in groups])

    per_group = np.random.default_rng(1).random(layout.groups)
    expected = np.full(shape, np.inf)
    for value, group in zip(per_group, groups, strict=True):
        expected[group] = np.minimum(expected[group], value)
    minimum = GroupMinimum(layout, per_group)
    np.testing.assert_array_equal(np.concatenate([minimum.of(tile) for tile in layout.tiles()]), expected.reshape(-1))


def test_names_of_groups() -> None:
    layout = Layout((2, 100, 3))
    assert layout.axes == (0, 2) or layout.axes == (0, 1, 2)
    assert [layout.name(i) for i in range(3)] == [None, (0, 0), (0, 1)]
    assert layout.name(layout.groups - 1) == (2, 2)


def test_no_tile_is_large() -> None:
    for shape in [(3, 1_000_000), (1_000_000, 3), (10, 70, 5000), (1, 200_000)]:
        assert max(tile.stop - tile.start for tile in Layout(shape).tiles()) <= BLOCK


# -- the formulas ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape], ids=str)
def test_reference_and_difference_follow_the_formulas(shape: tuple[int, ...]) -> None:
    """A second implementation, without blocks, of what docs/verdicts.md says."""
    random = np.random.default_rng(2)
    r = random.standard_normal(shape) * np.exp(random.standard_normal(shape[-1]))
    runs = [noisy(r, seed) for seed in range(5)]
    reference = make_reference(r, runs[0], runs[1:], "float32")
    u = 2.0**-24
    errors = [run.astype(np.float64) - r for run in runs]
    groups = naive_groups(shape)
    signal = np.array([np.sqrt((r[g] ** 2).mean()) for g in groups])
    rms = [max(np.sqrt((e[g] ** 2).mean()) for e in errors) for g in groups]
    noise = np.maximum(np.array(rms), np.maximum(u * signal, 2.0**-126))
    # What the whole tensor has in relation to its size, and twice the group's own at most.
    noise = np.maximum(noise, np.minimum(signal * noise[0] / signal[0], 2 * noise))
    floor = np.full(shape, np.inf)
    for value, group in zip(noise, groups, strict=True):
        floor[group] = np.minimum(floor[group], value)
    own = np.sqrt(np.mean([e**2 for e in errors], axis=0))
    floor = np.maximum(np.maximum(floor, 2 * u * np.abs(r)), own)

    assert reference.signal is not None
    assert reference.noise is not None
    assert reference.floor is not None
    np.testing.assert_allclose(reference.signal, signal, rtol=1e-9)
    np.testing.assert_allclose(reference.noise, noise, rtol=1e-9)
    np.testing.assert_allclose(reference.floor.reshape(shape), floor, rtol=1e-6)
    assert reference.reference_bits == pytest.approx(np.log2(signal[0] / noise[0]))

    y = noisy(r, 99, size=2.0**-20)
    error = y.astype(np.float64) - r
    group_error = np.array([np.sqrt((error[g] ** 2).mean()) for g in groups])
    difference = compare_tensor(y, reference, Tolerance(), where="output", dtype="float32")
    assert difference.bits == pytest.approx(np.log2(signal[0] / group_error[0]))
    assert difference.loss == pytest.approx(np.log2((group_error / noise).max()))
    assert difference.worst == pytest.approx(np.log2((np.abs(error) / floor).max()), abs=1e-5)
    assert difference.max_abs == pytest.approx(np.abs(error).max())


def test_jitter_by_one_ulp_gives_noise_of_the_order_of_rounding() -> None:
    """The jitter that makes e_1 to e_4, on a product of matrices: its noise is what summation costs, not much more."""
    random = np.random.default_rng(3)
    x, w = random.standard_normal((32, 256)), random.standard_normal((256, 16))
    x32, w32 = x.astype(np.float32), w.astype(np.float32)

    def jitter(array: Array, seed: int) -> Array:
        up = np.random.default_rng(seed).random(array.shape) < 0.5
        moved: Array = np.where(up, np.nextafter(array, np.float32(np.inf)), np.nextafter(array, np.float32(-np.inf)))
        assert moved.dtype == np.float32
        return moved

    r = x32.astype(np.float64) @ w32.astype(np.float64)
    noisy_run = [jitter(x32, 2 * k) @ jitter(w32, 2 * k + 1) for k in range(4)]
    reference = make_reference(r, x32 @ w32, noisy_run, "float32")
    assert reference.reference_bits is not None
    assert 20.5 < reference.reference_bits < 23.5
    fresh = jitter(x32, 100) @ jitter(w32, 101)
    difference = compare_tensor(fresh, reference, Tolerance(), where="output", dtype="float32")
    assert difference.ok
    assert difference.loss is not None
    assert difference.loss < 1
    assert difference.worst is not None
    assert difference.worst < 3


def test_eager_itself_is_within_its_own_noise() -> None:
    reference = reference_of(np.random.default_rng(4).standard_normal((50, 80)))
    own = reference.eager_numbers
    assert own.loss is not None
    assert own.loss <= 0.01
    assert own.worst is not None
    assert own.worst <= 1.2


# -- positions that aren't ordinary ------------------------------------------------------------------------------------


def test_unstable_integers_are_excluded_and_counted() -> None:
    eager = np.arange(100)
    noisy_run = [eager.copy() for _ in range(4)]
    noisy_run[1][3], noisy_run[2][3], noisy_run[2][70] = 4, 5, 0
    reference = make_reference(None, eager, noisy_run, "int64")
    assert (reference.kind, reference.unstable) == ("exact", 2)
    actual = eager.copy()
    actual[[3, 70]] = 99
    difference = compare_tensor(actual, reference, Tolerance(), where="output[1]", dtype="int64")
    assert difference.ok
    assert difference.unstable == 2
    assert difference.bits is None


def test_an_output_that_rounding_decides_is_blind() -> None:
    eager = np.arange(100)
    run = eager.copy()
    run[:50] += 1
    assert make_reference(None, eager, [run], "int64").blind == ""
    run[:60] += 1
    assert (
        make_reference(None, eager, [run], "int64").blind
        == "decided by rounding or by the order of equal elements (60 % of its elements)"
    )


def test_an_output_of_a_size_that_rounding_decides() -> None:
    eager = np.ones((3, 4), np.float32)
    reference = make_reference(eager.astype(np.float64), eager, [eager, eager[:2]], "float32")
    assert (reference.kind, reference.blind) == ("unstable", "of a size that rounding decides")
    for rows in (1, 2, 3, 5):
        actual = np.full((rows, 4), 9.0, np.float32)
        assert compare_tensor(actual, reference, Tolerance(), where="output", dtype="float32").ok
    flat = compare_tensor(np.ones(4, np.float32), reference, Tolerance(), where="output", dtype="float32")
    assert flat.message == "output has 1 dimensions, PyTorch returns 2"
    assert not compare_tensor(np.ones((3, 4)), reference, Tolerance(), where="output", dtype="float64").ok


def test_a_float64_run_of_another_shape_is_no_reference() -> None:
    eager = np.ones((3, 4), np.float32)
    assert make_reference(np.ones((0, 4)), eager, [eager], "float32").kind == "tolerance"


def test_positions_where_a_noisy_run_overflows_are_unstable() -> None:
    r = np.random.default_rng(5).standard_normal(200)
    runs = [noisy(r, seed) for seed in range(5)]
    runs[2][7] = np.inf
    reference = make_reference(r, runs[0], runs[1:], "float32")
    assert reference.unstable == 1
    assert reference.reference_bits is not None
    assert reference.reference_bits > 21
    actual = noisy(r, 9)
    actual[7] = np.nan
    assert compare_tensor(actual, reference, Tolerance(), where="output", dtype="float32").ok


@pytest.mark.parametrize("tolerance", [Tolerance(), Tolerance(rtol=1e-3), Tolerance(bits=9.0), Tolerance(cosine=0.999)])
@pytest.mark.parametrize("pure", [True, False])
def test_where_eager_alone_is_nan_the_others_are_compared(pure: bool, tolerance: Tolerance) -> None:
    r = np.random.default_rng(5).standard_normal(200)
    runs = [noisy(r, seed) for seed in range(5)]
    runs[0][7] = np.nan
    reference = make_reference(r if pure else None, runs[0], runs[1:], "float32")
    assert reference.unstable == 1
    for value in (np.nan, 3.0):
        actual = noisy(r, 9)
        actual[7] = value
        assert compare_tensor(actual, reference, tolerance, where="output", dtype="float32").ok
        actual[20:60] *= -2
        assert not compare_tensor(actual, reference, tolerance, where="output", dtype="float32").ok


def test_groups_without_any_ordinary_element() -> None:
    r = np.random.default_rng(6).standard_normal((4, 100))
    r[2] = -np.inf
    reference = reference_of(r)
    assert reference.counts is not None
    assert reference.counts.min() == 0
    assert compare_tensor(noisy(r, 9), reference, Tolerance(), where="output", dtype="float32").ok


# -- outputs without information ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "dtype", "what"),
    [
        (np.zeros((2, 3), np.float32), "float32", "zero everywhere"),
        (np.zeros(1, np.float32), "float32", "zero everywhere"),
        (np.full((2, 3), 0.25, np.float32), "float32", "0.25 everywhere"),
        (np.full((2, 3), np.nan, np.float32), "float32", "NaN, infinite or beyond 1e30 everywhere"),
        (np.full((4,), 7), "int64", "7 everywhere"),
        (np.ones((4,), bool), "bool", "True everywhere"),
        (np.full((2, 3), 1 + 1j, np.complex64), "complex64", "1 everywhere"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_blind_outputs_are_told_and_compared(values: Array, dtype: str, what: str) -> None:
    float64 = None if values.dtype.kind in "ib" else values.astype("c16" if values.dtype.kind == "c" else "f8")
    reference = make_reference(float64, values, [values], dtype)
    assert reference.blind == what
    assert compare_tensor(values.copy(), reference, Tolerance(), where="output", dtype=dtype).ok
    if values.dtype.kind == "f" and values.size > 1 and not np.isnan(values).any():
        wrong = values.copy()
        wrong[0, 1] += np.float32(1e-3)
        assert not compare_tensor(wrong, reference, Tolerance(), where="output", dtype=dtype).ok


def test_an_output_that_varies_only_by_rounding_is_blind() -> None:
    random = np.random.default_rng(7)
    runs = [(0.5 + 1e-7 * random.standard_normal(100)).astype(np.float32) for _ in range(5)]
    reference = make_reference(0.5 + 1e-9 * random.standard_normal(100), runs[0], runs[1:], "float32")
    assert reference.blind == "constant (0.5 to 0.5) within the noise"


def test_a_single_number_is_not_blind() -> None:
    assert reference_of(np.array(0.5)).kind == "float"
    assert make_reference(None, np.array(0), [], "int64").kind == "exact"


# -- storing -----------------------------------------------------------------------------------------------------------


def some_references() -> dict[str, tuple[Callable[[], Reference], Array]]:
    random = np.random.default_rng(8)
    r = random.standard_normal((20, 30))
    special = r.copy()
    special[0, :4] = [np.nan, np.inf, -np.inf, -1e38]
    pair = r + 1j * random.standard_normal((20, 30))
    brain = ml_dtypes.bfloat16
    eight = ml_dtypes.float8_e4m3fn
    return {
        "float32": (lambda: reference_of(r), noisy(r, 9)),
        "special": (lambda: reference_of(special), noisy(special, 9)),
        "bfloat16": (lambda: reference_of(r, "bfloat16", brain, 2.0**-8), noisy(r, 9, brain, 2.0**-8)),
        "float8_e4m3fn": (lambda: reference_of(r, "float8_e4m3fn", eight, 2.0**-4), noisy(r, 9, eight, 2.0**-4)),
        "float16": (lambda: reference_of(r, "float16", np.float16, 2.0**-11), noisy(r, 9, np.float16, 2.0**-11)),
        "complex64": (lambda: reference_of(pair, "complex64", np.complex64), noisy(pair, 9, np.complex64)),
        "float64": (lambda: reference_of(r, "float64", np.float64, 2.0**-52), noisy(r, 9, np.float64, 2.0**-52)),
        "int64": (lambda: make_reference(None, np.arange(9), [np.arange(9)], "int64"), np.arange(9)),
        "empty": (lambda: make_reference(None, r[:0], [], "float64"), r[:0]),
    }


@pytest.mark.parametrize("name", some_references())
def test_round_trip_through_read_only_memory_maps(name: str, tmp_path: Path) -> None:
    make, actual = some_references()[name]
    reference = make()
    dtype = reference.dtype
    meta, arrays = reference.to_arrays()
    mapped = {}
    for key, array in arrays.items():
        assert array.dtype.isbuiltin == 1
        assert array.dtype.kind in "fiub"
        np.save(tmp_path / f"{key}.npy", array)
        mapped[key] = np.load(tmp_path / f"{key}.npy", mmap_mode="r") if array.size else array
    loaded = Reference.from_arrays(json.loads(json.dumps(meta, allow_nan=False)), mapped)
    for wanted in (reference.eager.reshape(actual.shape) if actual.dtype.kind != "c" else actual, actual):
        before = compare_tensor(wanted, reference, Tolerance(), where="output", dtype=dtype)
        assert before.ok, before.message
        assert compare_tensor(wanted, loaded, Tolerance(), where="output", dtype=dtype) == before
    assert loaded.shape == reference.shape
    assert loaded.eager.dtype == reference.eager.dtype


def test_results_do_not_depend_on_the_size_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    r = np.random.default_rng(10).standard_normal((3, 7, 101))
    r[1, 2, 3:9] = [np.nan, np.inf, -np.inf, -1e38, 1e31, 0]
    results = []
    for block in (64, 101, 500, BLOCK):
        monkeypatch.setattr("pytest_modelconform.compare.groups.BLOCK", block)
        difference = compare_tensor(noisy(r, 9), reference_of(r), Tolerance(), where="output", dtype="float32")
        assert difference.ok, difference.message
        results.append((difference.bits, difference.loss, difference.worst))
    for one, two in itertools.pairwise(results):
        assert one == pytest.approx(two)


# -- elements that depend on rounding ----------------------------------------------------------------------------------


def sorted_rows(rows: int, swapped: int = 0) -> tuple[Array, list[Array]]:
    """Detections sorted by score, of which two score alike: where rounding decides, their rows change places."""
    random = np.random.default_rng(3)
    r = np.concatenate([random.uniform(0, 500, (rows, 4)), np.linspace(1, 0.1, rows)[:, None]], axis=1)
    runs = [noisy(r, seed) for seed in range(5)]
    for run in runs[:swapped]:
        run[[10, 11], :4] = run[[11, 10], :4]
    return r, runs


def test_rows_that_change_places_do_not_hide_the_others() -> None:
    r, runs = sorted_rows(100, swapped=2)
    reference = make_reference(r, runs[0], runs[1:], "float32")
    assert reference.unstable == 8
    assert reference.reference_bits is not None
    assert reference.reference_bits > 20
    # Either order is right.
    for result in (runs[0], runs[4]):
        assert compare_tensor(result, reference, Tolerance(), where="output", dtype="float32").ok
    # Anything else in another row isn't.
    wrong = runs[4].copy()
    wrong[20, 2] *= 1.001
    assert not compare_tensor(wrong, reference, Tolerance(), where="output", dtype="float32").ok
    # No order makes NaN or infinity of finite numbers.
    for value in (np.nan, -np.inf):
        wrong = runs[4].copy()
        wrong[10, 2] = value
        for tolerance in (Tolerance(), Tolerance(bits=4.0), Tolerance(rtol=1e9)):
            difference = compare_tensor(wrong, reference, tolerance, where="output", dtype="float32")
            assert difference.message.startswith(f"NaN or infinity in other places: output[10, 2] is {value}")


def test_without_such_rows_nothing_is_left_out() -> None:
    r, runs = sorted_rows(100)
    assert make_reference(r, runs[0], runs[1:], "float32").unstable == 0
    # A tail as heavy as a quotient of two normal numbers has is still noise.
    random = np.random.default_rng(5)
    runs = [(r * (1 + 1e-7 * np.clip(random.standard_cauchy(r.shape), -30, 30))).astype(np.float32) for _ in range(5)]
    assert make_reference(r, runs[0], runs[1:], "float32").unstable == 0


def test_the_rounding_of_what_is_large_is_no_other_decision() -> None:
    """One of bfloat16 is 2^-8 of the element, and beside small numbers it is all there is."""
    r = np.random.default_rng(2).standard_normal((20, 40))
    r[:, ::7] = -1e4
    reference = reference_of(r, "bfloat16", ml_dtypes.bfloat16, 0.0)
    assert reference.unstable == 0
    for mask, ok in ((-10048.0, True), (5.0, False)):
        y = np.where(r == -1e4, mask, r).astype(ml_dtypes.bfloat16)
        assert compare_tensor(y, reference, Tolerance(), where="o", dtype="bfloat16").ok == ok


def test_many_such_rows_are_left_out_and_counted() -> None:
    r, runs = sorted_rows(20, swapped=2)
    reference = make_reference(r, runs[0], runs[1:], "float32")
    assert reference.unstable == 8 * r.size // 100
    assert reference.blind == ""


def test_what_an_order_decides_is_left_out_unless_it_is_most() -> None:
    # Gathered by an order, and exact otherwise: what moves is no stray among noise.
    r = np.random.default_rng(2).standard_normal((10, 20)).astype(np.float32).astype(np.float64)
    runs = [r.astype(np.float32) for _ in range(4)]
    for run in runs[1:3]:
        run[:2] = run[1::-1].copy()
    tied = np.zeros(r.shape, dtype=np.uint8)
    tied[:2] = 1
    hidden, seen = (make_reference(r, runs[0], runs[1:], "float32", tied=mask) for mask in (None, tied))
    wrong = (runs[0] * 1.002).astype(np.float32)
    assert [compare_tensor(wrong, one, Tolerance(), where="o", dtype="float32").ok for one in (hidden, seen)] == [
        True,
        False,
    ]
    assert seen.unstable == 40
    assert all(compare_tensor(run, seen, Tolerance(), where="o", dtype="float32").ok for run in runs)
    tied[:6] = 1
    assert make_reference(r, runs[0], runs[1:], "float32", tied=tied).unstable == 0
    pairs = [(run + 1j * run).astype(np.complex64) for run in runs]
    tied[2:] = 0
    assert make_reference(r + 1j * r, pairs[0], pairs[1:], "complex64", tied=tied).unstable == 80


def test_of_rows_whose_number_rounding_decides_the_rest_is_asked_for() -> None:
    rows = np.random.default_rng(1).standard_normal((23, 4)).astype(np.float32)
    reference = make_reference(None, rows[:20], [rows[:20], rows[:22], rows[:20]], "float32")
    assert (reference.kind, reference.lengths, reference.finite) == ("unstable", ((17, 25), (4, 4)), True)

    def said(output: Array) -> str:
        return compare_tensor(output, reference, Tolerance(), where="output", dtype="float32").message

    assert not any(said(rows[:n]) for n in (17, 20, 23))
    assert not said(np.zeros((25, 4), dtype=np.float32))
    may = "PyTorch returns (20, 4), and rounding may make that (17 to 25, 4)"
    assert said(rows[:20, :2]) == f"output has shape (20, 2), {may}"
    assert said(rows[:0]) == f"output has shape (0, 4), {may}"
    assert said(rows[0]) == "output has 1 dimensions, PyTorch returns 2"
    odd = rows[:20].copy()
    odd[3, 1:] = np.nan
    assert said(odd) == "output has NaN or infinity in 3 of 80 elements, PyTorch in none"
    # What has them itself may have them anywhere.
    reference = make_reference(None, odd, [odd, rows[:22]], "float32")
    assert not said(odd)
    again = type(reference).from_arrays(*reference.to_arrays())
    assert (again.lengths, again.finite) == (((17, 25), (4, 4)), False)


@pytest.mark.parametrize("dtype", ["int64", "int8", "uint8"])
def test_what_rounding_decides_is_near_what_it_was(dtype: str) -> None:
    eager = np.array([3, 10, 7, 3, 0], dtype=dtype)
    other = np.array([10, 3, 7, 3, 0], dtype=dtype)
    reference = make_reference(None, eager, [eager, other], dtype)
    assert reference.allowed == (0, 21)
    wrong = np.array([77, 3, 7, 3, 0], dtype=dtype)
    for found, ok in ((other, True), (wrong, False), (np.array([9, 21, 7, 3, 0], dtype=dtype), True)):
        again = type(reference).from_arrays(*reference.to_arrays())
        difference = compare_tensor(found, again, Tolerance(), where="output", dtype=dtype)
        assert difference.ok == ok
    assert (
        "output[0] is 77, PyTorch gives 3"
        in compare_tensor(wrong, reference, Tolerance(), where="output", dtype=dtype).message
    )
    # Of equal elements a few orders don't show all.
    tied = np.array([1, 1, 0, 0, 0], dtype=np.uint8)
    free = make_reference(None, eager, [eager, other], dtype, tied=tied)
    assert free.allowed is None
    assert compare_tensor(wrong, free, Tolerance(), where="output", dtype=dtype).ok
    assert make_reference(None, eager, [eager, eager], dtype).allowed is None


@pytest.mark.parametrize("rows", [60, 3])
def test_what_float64_alone_decides_otherwise_is_eagers(rows: int) -> None:
    """A mask by a threshold of 0.3, which float32 has another one of."""
    mask = (np.random.default_rng(4).random((rows, 16)) > 0.5).astype(np.float32)
    wide = mask.astype(np.float64)
    wide[0, :2] = 1 - wide[0, :2]
    reference = make_reference(wide, mask, [mask.copy() for _ in range(3)], "float32")
    assert reference.unstable == 0

    def ok(output: Array, judge: Any = reference) -> bool:
        return compare_tensor(output, judge, Tolerance(), where="output", dtype="float32").ok

    assert ok(mask + np.float32(1e-8))
    wrong = mask.copy()
    wrong[1] = 1 - wrong[1]
    assert not ok(wrong)
    assert not ok(wide.astype(np.float32) + np.float32(1e-8))
    # Where one of eager's runs decides as float64 does, it is rounding that does.
    runs = [mask.copy() for _ in range(3)]
    runs[1][0, :2] = wide[0, :2]
    assert ok(wide.astype(np.float32) + np.float32(1e-8), make_reference(wide, mask, runs, "float32"))
    # An error of eager's own in what is near to nothing else is none of its decisions.
    r = np.random.default_rng(5).standard_normal((rows, 16))
    found = [noisy(r, seed) for seed in range(4)]
    for run in found:
        run[0, 0] += np.float32(1e-3)
    assert compare_tensor(
        r.astype(np.float32), make_reference(r, found[0], found[1:], "float32"), Tolerance(), where="o", dtype="float32"
    ).ok


def test_an_output_that_is_mostly_rounding_is_blind() -> None:
    r = np.random.default_rng(1).standard_normal(100)
    runs = [noisy(r, seed, size=0.3) for seed in range(5)]
    reference = make_reference(r, runs[0], runs[1:], "float32")
    assert reference.blind.startswith("nearly all rounding: faithful arithmetic keeps 1.")
    assert reference.ill_conditioned


def test_a_row_of_which_few_draws_show_little_noise_is_raised_by_a_bit() -> None:
    r = np.random.default_rng(3).standard_normal((8, 100))
    runs = [noisy(r, seed, size=1e-6) for seed in range(4)]
    usual = make_reference(r, runs[0], runs[1:], "float32")
    for run in runs:
        run[3] = r[3] + (run[3] - r[3]) / 64
    found = make_reference(r, runs[0], runs[1:], "float32")
    assert usual.noise is not None
    assert found.noise is not None
    row = 4  # after the whole tensor and rows 0 to 2
    assert usual.noise[row] / 64 < found.noise[row] < usual.noise[row] / 12
