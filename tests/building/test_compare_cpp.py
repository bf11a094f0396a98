"""The comparison in C++ (cpp/compare.h) says what the one in Python says, of the same data.

A small program that finds the library as users do (tests/embedding) judges outputs that are made here at random.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_modelconform.building import cmake_package
from pytest_modelconform.cache.store import default_folder
from pytest_modelconform.cells.answers import merge
from pytest_modelconform.compare import (
    Reference,
    compare_leaves,
    compare_tensor,
    flatten,
    make_reference,
)
from pytest_modelconform.compare.measure import measure, worst_position
from pytest_modelconform.compare.numbers import AS_EAGER, LEFT_OUT, RELATIVE, UNSTABLE, WILD, flat, layout_of
from pytest_modelconform.references import from_runs
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.workers import arrays
from tests.support import embedding

Array = np.ndarray[Any, Any]
# The user's own, so that the library is built once and not once a test run; conftest.py gives each test another.
CACHE = default_folder()
pytestmark = pytest.mark.compiles
NUMBERS = ("bits", "reference_bits", "loss", "worst", "max_abs")


@dataclass(frozen=True)
class Answer:
    """A line of the program."""

    ok: bool
    close: bool
    numbers: Mapping[str, float | None]
    unstable: int
    ill_conditioned: bool
    output: str
    index: str
    part: str
    value: float | None
    expected: float | None
    message: str


@pytest.fixture(scope="module")
def package() -> Path:
    return cmake_package.find(CACHE, lambda line: print(line, file=sys.stderr))


@pytest.fixture(scope="module")
def judge(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedding.build(embedding.PROJECT, tmp_path_factory.mktemp("judge"), CMAKE_PREFIX_PATH=package) / "judge"


def ask(judge: Path, lines: list[str]) -> list[list[str]]:
    done = subprocess.run([judge], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    answers = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(answers) == len(lines)
    return answers


def answers(judge: Path, lines: list[str]) -> list[Answer]:
    found = []
    for fields in ask(judge, lines):
        assert fields[0] in ("ok", "imprecise", "mismatch"), fields
        verdict, *numbers = fields[:6]
        output, index, part, value, expected, message = fields[8:]
        found.append(
            Answer(
                ok=verdict == "ok",
                close=verdict == "imprecise",
                numbers={name: number(text) for name, text in zip(NUMBERS, numbers, strict=True)},
                unstable=int(fields[6]),
                ill_conditioned=fields[7] == "1",
                output=output,
                index=index,
                part=part,
                value=number(value),
                expected=number(expected),
                message=message.replace("\\n", "\n"),
            )
        )
    return found


def number(text: str) -> float | None:
    return None if text == "-" else float.fromhex(text)


def line(folder: Path, name: str, outputs: Mapping[str, Array], tolerance: Tolerance) -> str:
    """Write outputs, and return the question about them."""
    file = folder / f"outputs-{name}.safetensors"
    arrays.write(file, outputs)
    given = asdict(tolerance)
    limits = [given[name] for name in ("bits_lost", "worst", "rtol", "atol", "cosine", "bits", "levels")]
    return " ".join([str(folder), name, str(file), *("-" if limit is None else repr(limit) for limit in limits)])


# ---- Random references and outputs -----------------------------------------------------------------------------------

FLOATS = ("float32", "float16", "bfloat16", "float64", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2")
INTEGERS = ("int64", "int32", "int8", "uint8", "uint16", "uint64", "bool")
SHAPES = ((), (1,), (7,), (2, 3), (0, 4), (64,), (3, 65), (2, 64, 5), (130, 70), (2, 9, 8, 8), (1, 200), (4, 1, 33))
TOLERANCES = (
    Tolerance(),
    Tolerance(),
    Tolerance(bits_lost=0.5, worst=1.0),
    Tolerance(rtol=1e-3, atol=1e-4),
    Tolerance(rtol=1e-6),
    Tolerance(atol=1e-3, cosine=0.99),
    Tolerance(cosine=0.999999),
    Tolerance(bits=11.0),
    Tolerance(bits=3.0, cosine=0.9),
    Tolerance(levels=1.0),
    Tolerance(levels=2.0, bits=3.0),
)


def numpy_dtype(name: str) -> np.dtype[Any]:
    return arrays.numpy_dtype(name)


def some_floats(random: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    """float64 or complex128 numbers of a size that suits the dtype, whose rows are of very different sizes."""
    values = random.standard_normal(shape)
    if dtype in ("float32", "float64") and random.random() < 0.5 and shape:
        values = values * 10.0 ** random.uniform(-6, 6, shape[-1])
    if dtype.startswith("complex"):
        values = values + 1j * random.standard_normal(shape)
    return np.asarray(values)


def cast(values: Array, dtype: str) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(np.asarray(values).astype(numpy_dtype(dtype)))


UNITS = {"float64": 53, "complex128": 53, "float32": 24, "complex64": 24, "float16": 11, "bfloat16": 8}


def noisy(random: np.random.Generator, values: Array, dtype: str, size: float) -> Array:
    u = 2.0 ** -UNITS.get(dtype, 4)
    factor = 1.0 + size * u * random.standard_normal(values.shape)
    with np.errstate(all="ignore"):
        return cast(values * factor, dtype)


def sprinkle(random: np.random.Generator, run: Array, position: tuple[int, ...], value: float) -> None:
    if run.size:
        run[position] = value


def float_reference(random: np.random.Generator, shape: tuple[int, ...], dtype: str) -> tuple[Reference, Array]:
    values = some_floats(random, shape, dtype)
    runs = [noisy(random, values, dtype, 0.5), *(noisy(random, values, dtype, 2.0) for _ in range(4))]
    if values.size > 8 and not dtype.startswith("float8"):
        strange = [np.nan, np.inf, -np.inf] if random.random() < 0.4 else []
        if dtype in ("float32", "float64", "complex64") and random.random() < 0.5:
            strange += [1e30, -3e38]
        for value in strange:
            position = tuple(random.integers(0, shape))
            for run in (values, *runs):
                sprinkle(random, run, position, value)
        if random.random() < 0.3:  # only float64, and only one noisy run
            sprinkle(random, values, tuple(random.integers(0, shape)), np.inf)
        if values.size > 64 and random.random() < 0.3:
            sprinkle(random, runs[random.choice([0, 2])], tuple(random.integers(0, shape)), np.nan)
            sprinkle(random, runs[3], tuple(random.integers(0, shape)), 3.0)
    wide = None if random.random() < 0.15 else values
    if values.ndim and random.random() < 0.06:  # rounding decides how many there are
        runs[3] = runs[3][:0]
    reference = make_reference(wide, runs[0], runs[1:], dtype, reduced=random.random() < 0.1)
    return reference, runs[0]


def exact_reference(random: np.random.Generator, shape: tuple[int, ...], dtype: str) -> tuple[Reference, Array]:
    most = 2 if dtype == "bool" else 100
    eager = cast(random.integers(0, most, shape), dtype)
    if dtype == "uint64":
        eager = eager + np.uint64(2**63)
    noisy = [eager.copy() for _ in range(4)]
    if eager.size > 64:
        sprinkle(random, noisy[1], tuple(random.integers(0, shape)), 1)
    return make_reference(None, eager, noisy, dtype), np.asarray(eager)


def changed(random: np.random.Generator, eager: Array, reference: Reference) -> Array:
    """An output: eager's own, a little off, quite off, of another shape or dtype, with NaN somewhere."""
    dtype = reference.dtype
    kind = random.choice(["same", "noisy", "noisy", "off", "one", "nan", "shape", "dtype"])
    if kind == "same":
        return eager
    if kind == "shape":
        return eager.reshape(1, *eager.shape)
    if kind == "dtype":
        other = {"float32": "float64", "int64": "int32", "complex64": "complex128"}.get(dtype, "float32")
        with np.errstate(all="ignore"):
            return cast(eager.real if other == "float32" else eager, other)
    result = eager.copy()
    if dtype in INTEGERS:
        if result.size:
            count = random.integers(1, 4) if kind == "one" else result.size // 3 + 1
            positions = random.integers(0, result.size, count)
            result.reshape(-1)[positions] = cast(random.integers(0, 2, count), dtype)
        return result
    if reference.codes is not None and random.random() < 0.5:
        # Whatever is there takes no part.
        flat(result)[reference.codes == WILD] = np.nan
        flat(result)[reference.codes == UNSTABLE] = np.nan if random.random() < 0.2 else 1.0
        return result
    if kind in ("noisy", "off"):
        wide = eager.astype(np.complex128 if dtype.startswith("complex") else np.float64)
        return noisy(random, wide, dtype, {"noisy": 2.0, "off": 2.0 ** random.uniform(0, 20)}[str(kind)])
    position = tuple(int(random.integers(length)) for length in eager.shape) if eager.size else ()
    if eager.size:
        result[position] = np.nan if kind == "nan" else result[position] * cast(np.asarray(1.5), dtype)
    return result


def expected_of(
    output: Array, reference: Reference, tolerance: Tolerance, dtype: str
) -> tuple[Any, dict[str, float | None]]:
    difference = compare_tensor(output, reference, tolerance, where="output", dtype=dtype)
    numbers = merge([{name: getattr(difference, name) for name in NUMBERS}])
    if not difference.ok and difference.bits is None:
        numbers = dict.fromkeys(NUMBERS)  # as compare_runs has it
    return difference, numbers


def close(one: float | None, two: float | None) -> bool:
    if one is None or two is None:
        return one is two
    return math.isclose(one, two, rel_tol=1e-6, abs_tol=1e-9)


def test_both_say_the_same_of_any_output(judge: Path, tmp_path: Path) -> None:
    asked, wanted = [], []
    seen: set[object] = set()
    for seed in range(900):
        random = np.random.default_rng(seed)
        dtype = str(random.choice([*FLOATS, *FLOATS, *INTEGERS]))
        shape = SHAPES[random.integers(len(SHAPES))]
        make = exact_reference if dtype in INTEGERS else float_reference
        reference, eager = make(random, shape, dtype)
        from_runs.write(tmp_path, str(seed), {"": reference})
        output = changed(random, eager, reference)
        name = output.dtype.name
        tolerance = TOLERANCES[random.integers(len(TOLERANCES))]
        asked.append(line(tmp_path, str(seed), {"": output}, tolerance))
        wanted.append((seed, reference, output, tolerance, *expected_of(output, reference, tolerance, name)))
        seen |= {reference.kind, dtype, f"ok={wanted[-1][4].ok}", f"close={wanted[-1][4].close}"}
        seen |= {"unstable" if reference.unstable else "stable"}
        seen |= set(reference.codes.tolist()) if reference.codes is not None else set()
    for answer, (seed, reference, output, tolerance, difference, numbers) in zip(
        answers(judge, asked), wanted, strict=True
    ):
        about = f"seed {seed}: {reference.kind} {reference.dtype} {reference.shape} {tolerance}"
        assert answer.ok == difference.ok, f"{about}: {answer.message} / {difference.message}"
        assert answer.close == difference.close, f"{about}: {answer.message} / {difference.message}"
        assert answer.message == difference.message, about
        assert all(close(answer.numbers[name], numbers[name]) for name in NUMBERS), (about, answer.numbers, numbers)
        assert answer.unstable == difference.unstable, about
        assert answer.ill_conditioned == difference.ill_conditioned, about
        check_element(answer, output, reference, tolerance, about)
    # The data hold what the comparison tells apart; none of it went missing when they were made.
    kinds = {"float", "exact", "tolerance", "empty", "ok=True", "ok=False", "close=True", "close=False", "unstable"}
    assert {*FLOATS, *INTEGERS, *kinds, AS_EAGER, LEFT_OUT, UNSTABLE, RELATIVE, WILD} <= seen
    assert len(asked) > 700


def test_what_rounding_decides_is_bounded_in_both(judge: Path, tmp_path: Path) -> None:
    rows = np.random.default_rng(1).standard_normal((23, 4)).astype(np.float32)
    odd = rows[:20].copy()
    odd[3, 1:] = np.nan
    some = np.array([3, 10, 7, -3, 0])
    kept = make_reference(None, rows[:20], [rows[:20], rows[:22]], "float32")
    chosen = make_reference(None, some, [some, some[[1, 0, 2, 3, 4]]], "int64")
    asked = [(kept, output) for output in (rows, rows[:20, :2], rows[:0], odd, rows[0])]
    asked += [(chosen, np.array([first, 3, 7, -3, 0])) for first in (10, -17, 77, -99)]
    lines = []
    for place, (reference, output) in enumerate(asked):
        from_runs.write(tmp_path, str(place), {"": reference})
        lines.append(line(tmp_path, str(place), {"": output}, Tolerance()))
    found = answers(judge, lines)
    assert [answer.ok for answer in found] == [True, False, False, False, False, True, True, False, False]
    for answer, (reference, output) in zip(found, asked, strict=True):
        difference = compare_tensor(output, reference, Tolerance(), where="output", dtype=output.dtype.name)
        assert (answer.ok, answer.message) == (difference.ok, difference.message)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "complex64"])
@pytest.mark.parametrize("sizes", [(-1e4,), (-1e9,), (-1e19, 3e9)], ids=["1e4", "1e9", "two"])
@pytest.mark.parametrize("rows", [3, 40])
def test_what_masks_would_hide_is_judged_in_both(
    judge: Path, tmp_path: Path, dtype: str, sizes: tuple[float, ...], rows: int
) -> None:
    random = np.random.default_rng(7)
    values = some_floats(random, (rows, 30), "complex64" if dtype == "complex64" else "float16")
    for column, size in enumerate(sizes):
        values[:, column * 3] = cast(
            np.asarray(size), "float16" if dtype == "float16" and abs(size) < 6e4 else "float32"
        )
    runs = [noisy(random, values, dtype, 1.0) for _ in range(5)]
    reference = make_reference(values, runs[0], runs[1:], dtype)
    outputs = {"faithful": noisy(random, values, dtype, 1.0), "wrong": runs[0].copy(), "off": runs[0].copy()}
    outputs["wrong"][:, 12] *= -1
    outputs["off"][1, 13] *= cast(np.asarray(1.25), dtype)
    for name in outputs:
        from_runs.write(tmp_path, name, {"": reference})
    lines = [line(tmp_path, name, {"": output}, Tolerance()) for name, output in outputs.items()]
    for answer, output in zip(answers(judge, lines), outputs.values(), strict=True):
        difference, numbers = expected_of(output, reference, Tolerance(), dtype)
        assert (answer.ok, answer.close, answer.message) == (difference.ok, difference.close, difference.message)
        assert all(close(answer.numbers[name], numbers[name]) for name in NUMBERS), (answer.numbers, numbers)
    # So it is by tolerances that are a share of the tensor's size, with a float64 run and without one.
    judged: list[tuple[str, Reference, Tolerance, Array]] = []
    for wide in (values, None):
        reference = make_reference(wide, runs[0], runs[1:], dtype)
        assert reference.unmasked is not None or np.isinf(runs[0]).any()
        for tolerance in (Tolerance(), Tolerance(bits=4.0), Tolerance(bits=9.0, cosine=0.99), Tolerance(atol=1e-3)):
            for name, output in outputs.items():
                place = f"{wide is None} {len(judged)}".replace(" ", "-")
                from_runs.write(tmp_path, place, {"": reference})
                lines.append(line(tmp_path, place, {"": output}, tolerance))
                judged.append((name, reference, tolerance, output))
    seen = set()
    for answer, (name, reference, tolerance, output) in zip(answers(judge, lines[3:]), judged, strict=True):
        difference, numbers = expected_of(output, reference, tolerance, dtype)
        assert (answer.ok, answer.message) == (difference.ok, difference.message), (name, tolerance)
        assert all(close(answer.numbers[key], numbers[key]) for key in NUMBERS), (answer.numbers, numbers)
        seen.add((name, answer.ok))
    assert {("faithful", True), ("wrong", False)} <= seen


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize("size", [3e-7, 3e-8, 1e-16])
def test_tails_that_lose_their_bits_are_imprecise_in_both(judge: Path, tmp_path: Path, dtype: str, size: float) -> None:
    """A sigmoid that is right absolutely, whose values reach down to 1e-12."""
    random = np.random.default_rng(5)
    values: Array = 10.0 ** random.uniform(-12, 0, (64, 70))
    if dtype == "complex64":
        values = values * (1 + 1j)
    runs = [noisy(random, values, dtype, 1.0) for _ in range(5)]
    reference = make_reference(values, runs[0], runs[1:], dtype)
    output = cast(values + size * random.uniform(-1, 1, values.shape), dtype)
    from_runs.write(tmp_path, "s", {"": reference})
    (answer,) = answers(judge, [line(tmp_path, "s", {"": output}, Tolerance())])
    difference = compare_tensor(output, reference, Tolerance(), where="output", dtype=dtype)
    assert (answer.ok, answer.close, answer.message) == (difference.ok, difference.close, difference.message)
    assert difference.close == ((dtype == "float64") == (size == 1e-16))
    assert not difference.close or "of the tensor's scale; values below" in difference.message


@pytest.mark.parametrize("size", [15, 16])
def test_of_few_elements_one_more_bit_may_be_lost(judge: Path, tmp_path: Path, size: int) -> None:
    random = np.random.default_rng(size)
    values = random.standard_normal(size)
    runs = [noisy(random, values, "float64", 1.0) for _ in range(5)]
    reference = make_reference(values, runs[0], runs[1:], "float64")
    assert reference.noise is not None
    output = values + reference.noise[0] * 2.0**2.5
    from_runs.write(tmp_path, "s", {"": reference})
    (answer,) = answers(judge, [line(tmp_path, "s", {"": output}, Tolerance())])
    difference = compare_tensor(output, reference, Tolerance(), where="output", dtype="float64")
    assert (answer.ok, answer.message) == (size == 15, difference.message)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_masks_are_compared_by_themselves(judge: Path, tmp_path: Path, dtype: str) -> None:
    """A huge number that is a little off is in no group, and takes no bits from the others."""
    random = np.random.default_rng(3)
    values = random.standard_normal((3, 40))
    values[1, 2] = -3e38
    runs = [noisy(random, values, dtype, 1.0) for _ in range(5)]
    reference = make_reference(values, runs[0], runs[1:], dtype)
    output = noisy(random, values, dtype, 1.0)
    from_runs.write(tmp_path, "s", {"": reference})
    (answer,) = answers(judge, [line(tmp_path, "s", {"": output}, Tolerance())])
    difference = compare_tensor(output, reference, Tolerance(), where="output", dtype=dtype)
    assert answer.ok
    assert difference.loss is not None
    assert difference.loss < 3
    assert all(close(answer.numbers[name], getattr(difference, name)) for name in NUMBERS)
    # Of tolerances that no group's sum tells anything of, too.
    tolerances = [Tolerance(bits=4.0), Tolerance(cosine=0.998), Tolerance(bits=9.0, cosine=0.9)]
    asked: list[tuple[Array, Tolerance]] = []
    lines = []
    for mask in (-3e38, -2.9e38, 0.0, 3e38, -65504.0, 65504.0):
        output = noisy(random, values, dtype, 1.0)
        output[1, 2] = mask
        for tolerance in tolerances:
            place = str(len(asked))
            from_runs.write(tmp_path, place, {"": reference})
            lines.append(line(tmp_path, place, {"": output}, tolerance))
            asked.append((output, tolerance))
    told = answers(judge, lines)
    right, near, wrong = [True] * 3, [True, True, False], [False] * 3
    assert [answer.ok for answer in told] == [*right, *near, *wrong, *wrong, *right, *wrong]
    for answer, (output, tolerance) in zip(told, asked, strict=True):
        difference = compare_tensor(output, reference, tolerance, where="output", dtype=dtype)
        assert (answer.ok, answer.message) == (difference.ok, difference.message)


def test_every_slice_has_a_bit_in_both(judge: Path, tmp_path: Path) -> None:
    values = np.random.default_rng(3).standard_normal((100, 5)) * [300, 300, 300, 300, 1]
    runs = [cast(values, "float32")] * 5
    reference = make_reference(values, runs[0], runs[1:], "float32")
    output = cast(np.round(values / 16) * 16, "float32")
    from_runs.write(tmp_path, "s", {"": reference})
    tolerances = [Tolerance(bits=bits) for bits in (4.0, 1.0)]
    told = answers(judge, [line(tmp_path, "s", {"": output}, tolerance) for tolerance in tolerances])
    assert [answer.ok for answer in told] == [False, True]
    difference = compare_tensor(output, reference, tolerances[0], where="output", dtype="float32")
    assert told[0].message == difference.message
    assert "in output[:, 4] (at least 1 in each slice)" in told[0].message
    assert told[0].index == str(list(difference.worst_index or ()))


def test_pixels_may_be_levels_apart_in_both(judge: Path, tmp_path: Path) -> None:
    asked = []
    for dtype in ("uint8", "int64"):
        image = np.arange(100, 140).astype(dtype)
        reference = make_reference(None, image, [image], dtype)
        from_runs.write(tmp_path, dtype, {"": reference})
        for off in (1, 2, 9):
            output = image.copy()
            output[7] -= off
            asked += [(reference, output, Tolerance(levels=levels)) for levels in (None, 1.0, 2.0)]
    lines = []
    for place, (reference, output, tolerance) in enumerate(asked):
        copy = line(tmp_path, reference.dtype, {"": output}, tolerance).split()
        file = tmp_path / f"{place}.safetensors"
        Path(copy[2]).rename(file)
        lines.append(" ".join([*copy[:2], str(file), *copy[3:]]))
    told = answers(judge, lines)
    assert [answer.ok for answer in told] == [False, True, True, False, False, True, *([False] * 12)]
    for answer, (reference, output, tolerance) in zip(told, asked, strict=True):
        difference = compare_tensor(output, reference, tolerance, where="output", dtype=reference.dtype)
        assert (answer.ok, answer.message) == (difference.ok, difference.message)


def check_element(answer: Answer, output: Array, reference: Reference, tolerance: Tolerance, about: str) -> None:
    """The worst element is the one that the message names; where there is none, that which Python finds."""
    if answer.message.startswith(("wrong values: ", "inexact values: ", "NaN ")):
        part = f"the {answer.part} part of " if answer.part else ""
        place = "" if answer.index == "[]" else answer.index
        assert f": {part}output{place} is " in answer.message or answer.message.startswith("wrong values: output; "), (
            about
        )
        assert answer.output == "output" or answer.message.startswith("wrong values: output; "), about
        return
    by_element = tolerance.rtol is not None or tolerance.atol is not None
    if reference.kind != "float" or by_element or answer.message or answer.index == "-":
        return
    values = flat(output)
    position = worst_position(values, reference, measure(values, reference))
    index = [int(i) for i in np.unravel_index(position, layout_of(reference.shape, reference.dtype).shape)]
    part = ("real", "imaginary")[index.pop()] if reference.dtype.startswith("complex") else ""
    assert (answer.output, answer.index, answer.part) == ("output", str(index), part), about
    assert reference.r is not None
    assert (answer.value, answer.expected) == (float(values[position]), float(reference.r[position])), about


# ---- Several outputs, and what can't be read -------------------------------------------------------------------------


def small(seed: int = 1, dtype: str = "float32") -> tuple[Reference, Array]:
    random = np.random.default_rng(seed)
    values = random.standard_normal((3, 40))
    runs = [noisy(random, values, dtype, 1.0) for _ in range(5)]
    return make_reference(values, runs[0], runs[1:], dtype), runs[0]


def test_a_structure_is_compared_by_path(judge: Path, tmp_path: Path) -> None:
    tree = {
        "dict": [
            ["boxes", {"tuple": [{"tensor": "a"}, {"none": True}, {"tensor": "b"}]}],
            [3, {"list": [{"tensor": "c"}]}],
            ["it's", {"tensor": "d"}],
            ["n", {"value": 5}],
        ]
    }
    paths = {key: path for path, key in flatten(tree)[1].items()}
    made = {key: small(seed) for seed, key in enumerate(paths)}
    from_runs.write(tmp_path, "whole", {paths[key]: reference for key, (reference, _) in made.items()})
    eager = {key: array for key, (_, array) in made.items()}
    off = {**eager, "b": eager["b"] * np.float32(1.01)}
    for name, outputs in (("eager", eager), ("off", off)):
        arrays.write(tmp_path / f"{name}.safetensors", outputs)
    right, wrong = answers(judge, [f"{tmp_path} whole {tmp_path}/{name}.safetensors tree" for name in ("eager", "off")])
    assert (right.ok, right.message) == (True, "")
    difference = compare_tensor(off["b"], made["b"][0], Tolerance(), where="output['boxes'][2]", dtype="float32")
    assert (wrong.ok, wrong.message) == (False, difference.message)
    assert wrong.output == "output['boxes'][2]"
    found = [compare_tensor(off[key], made[key][0], Tolerance(), where="", dtype="float32") for key in off]
    merged = merge([{name: getattr(one, name) for name in NUMBERS} for one in found])
    assert all(close(wrong.numbers[name], merged[name]) for name in NUMBERS)


@pytest.mark.parametrize(
    "returned",
    [["[0]"], ["[0]", "[1]", "[2]"], ["[0]", "['x']"], [""], ["[0]", "[1]['a']"], [f"[{i}]" for i in range(12)]],
    ids=str,
)
def test_outputs_that_are_missing_or_too_many_are_named(judge: Path, tmp_path: Path, returned: list[str]) -> None:
    reference, eager = small()
    from_runs.write(tmp_path, "two", {"[0]": reference, "[1]": reference})
    (answer,) = answers(judge, [line(tmp_path, "two", dict.fromkeys(sorted(returned), eager), Tolerance())])
    assert [answer.message] == compare_leaves(["[0]", "[1]"], sorted(returned))
    assert set(answer.numbers.values()) == {None}


def test_the_tolerance_of_the_case_is_the_references_own(judge: Path, tmp_path: Path) -> None:
    reference, eager = small()
    off = eager * np.float32(1.001)
    from_runs.write(tmp_path, "s", {"": reference})
    arrays.write(tmp_path / "off.safetensors", {"": off})
    question = f"{tmp_path} s {tmp_path}/off.safetensors own"
    (without,) = answers(judge, [question])
    assert without.message == compare_tensor(off, reference, Tolerance(), where="output", dtype="float32").message
    (tmp_path / "case.json").write_text(json.dumps({"tolerance": asdict(Tolerance(rtol=0.01))}))
    (own,) = answers(judge, [question])
    assert own.ok
    # An input set may have another one.
    strict, own_of_set = asdict(Tolerance(rtol=1e-6)), {"s": {"tolerance": asdict(Tolerance(bits=-60.0))}}
    for sets, ok in (({"t": {}, **own_of_set}, True), ({"s": {}}, False)):
        (tmp_path / "case.json").write_text(json.dumps({"tolerance": strict, "input_sets": sets}))
        (of_set,) = answers(judge, [question])
        assert of_set.ok == ok
    (tmp_path / "case.json").write_text("{}")
    (broken,) = ask(judge, [question])
    assert broken[0] == "error"
    assert broken[1].startswith(f"{tmp_path}/case.json: 'tolerance' can't be read: ")


Edit = Callable[[dict[str, Any], dict[str, Array]], object]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda meta, stored: meta.update(kind="odd"), "output: its kind is 'odd', which this reader doesn't know"),
        (lambda meta, stored: meta.update(dtype="float31"), "no dtype is called 'float31'"),
        (lambda meta, stored: meta.pop("shape"), "key 'shape' not found"),
        (lambda meta, stored: meta.update(shape=[3, -40]), "its shape is [3, -40]"),
        (lambda meta, stored: meta.update(shape=[2**40, 2**40]), "its shape is [1099511627776, 1099511627776]"),
        (
            lambda meta, stored: meta.update(shape=[3, 41]),
            "its array 'eager' is float32 [120]; 123 elements of 4 bytes",
        ),
        (lambda meta, stored: stored.pop("#r"), "its array 'r' is missing"),
        (lambda meta, stored: stored.update({"#floor": stored["#floor"][:-1]}), "its array 'floor' is float32 [119]"),
        (lambda meta, stored: stored.update({"#noise": stored["#noise"][:-1]}), "its noise is that of"),
        (lambda meta, stored: stored.update({"#r": stored["#r"].astype("int64")}), "its array 'r' is int64 [120]"),
        (lambda meta, stored: meta.update(dtype="int32"), "its kind is for numbers that aren't integers"),
    ],
)
def test_a_reference_that_makes_no_sense_is_refused(judge: Path, tmp_path: Path, edit: Edit, message: str) -> None:
    reference, eager = small()
    from_runs.write(tmp_path, "s", {"": reference})
    metas = json.loads((tmp_path / "references-s.json").read_text())
    stored = dict(arrays.read(tmp_path / "references-s.safetensors"))
    edit(metas[""], stored)
    (tmp_path / "references-s.json").write_text(json.dumps(metas))
    arrays.write(tmp_path / "new.safetensors", stored)
    (tmp_path / "new.safetensors").rename(tmp_path / "references-s.safetensors")
    ((kind, said),) = ask(judge, [line(tmp_path, "s", {"": eager}, Tolerance())])
    assert kind == "error"
    assert said.startswith(f"{tmp_path}/references-s.")
    assert message in said


def test_a_reference_that_is_not_there_is_named(judge: Path, tmp_path: Path) -> None:
    arrays.write(tmp_path / "o.safetensors", {"": np.zeros(1, np.float32)})
    (tmp_path / "references-broken.json").write_text("[")
    questions = [f"{tmp_path} {name} {tmp_path}/o.safetensors own" for name in ("none", "broken")]
    said = [answer[1] for answer in ask(judge, questions)]
    assert said[0].startswith(f"{tmp_path}/references-none.json can't be opened: `modelconform export` writes one")
    assert said[1] == f"{tmp_path}/references-broken.json isn't a JSON object"
