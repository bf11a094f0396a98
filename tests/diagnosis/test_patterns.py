"""Each hint on arrays that call for it; and none where nothing does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from pytest_modelconform.compare import make_reference
from pytest_modelconform.diagnosis.judge import Seen, agreement
from pytest_modelconform.diagnosis.patterns import hints, only_exported, only_exported_size
from pytest_modelconform.diagnosis.values import log_softmax, sigmoid, softmax
from pytest_modelconform.terms.case import Tolerance
from pytest_modelconform.terms.tolerances import limits
from tests.support.synthetic import Array, faithful, numbers, of, reference, seen

IMAGE = numbers(2, 5, 6, 7)
SQUARE = numbers(2, 6, 6, 6)
TABLE = numbers(12, 40)
POSITIVE = np.abs(TABLE) + 0.1
INTEGERS = np.random.default_rng(0).integers(-1000, 1000, (8, 9))
LONG = INTEGERS * 2**33 + INTEGERS
BOOLS = np.random.default_rng(0).random((8, 9)) < 0.4


def only(found: tuple[list[str], bool]) -> str:
    """The hint, where there is one and it explains all."""
    [hint], complete = found
    assert complete
    return hint


NHWC = "output has the model's values with its axes permuted (0, 2, 3, 1): NHWC instead of NCHW"
LAYOUTS = {
    "nhwc": (IMAGE, IMAGE.transpose(0, 2, 3, 1), NHWC),
    "nhwc, square": (SQUARE, SQUARE.transpose(0, 2, 3, 1), NHWC),
    "another order": (IMAGE, IMAGE.transpose(3, 0, 2, 1), "with its axes permuted (3, 0, 2, 1)"),
    "transposed": (TABLE, TABLE.T, "with its axes permuted (1, 0): transposed"),
    "batch": (numbers(3, 4, 5), numbers(3, 4, 5).transpose(1, 0, 2), "(1, 0, 2): batch and sequence swapped?"),
    "memory": (IMAGE, IMAGE.transpose(0, 2, 3, 1).reshape(IMAGE.shape), "in the memory order (0, 2, 3, 1): NHWC"),
    "integers": (INTEGERS, INTEGERS.T, "with its axes permuted (1, 0): transposed"),
    "flipped": (IMAGE, IMAGE[:, :, ::-1], "output has the model's values with axis 2 reversed"),
    "bgr": (numbers(2, 3, 9), numbers(2, 3, 9)[:, ::-1], "with axis 1 reversed (channels in another order"),
    "squeezed": (numbers(4, 1, 9), numbers(4, 9), "(4, 9) instead of (4, 1, 9): an axis of length 1 is missing"),
    "unsqueezed": (numbers(4, 9), numbers(4, 9, 1), "(4, 9, 1) instead of (4, 9): an axis of length 1 too many"),
    "flattened": (IMAGE, IMAGE.reshape(-1), "in shape (420,) instead of (2, 5, 6, 7): flattened"),
    "reshaped": (IMAGE, IMAGE.reshape(10, 42), "in shape (10, 42) instead of (2, 5, 6, 7): reshaped"),
    "rolled": (TABLE, np.roll(TABLE, 1, 0), "output has the model's values rolled by 1 along axis 0"),
    "by half": (TABLE, np.roll(TABLE, 20, 1), "rolled by 20 along axis 1"),
    "moved": (TABLE, np.concatenate([np.zeros((1, 40)), TABLE[:-1]]), "values moved by 1 along axis 0"),
    "rows": (TABLE, TABLE[[3, 1, 2, 0, 4, 5, 11, 7, 8, 9, 10, 6]], "with the rows of axis 0 in another order"),
    "cut": (TABLE, TABLE[:7], "has only the first 7 of 12 along axis 0; these are the model's"),
    "padded": (TABLE, np.pad(TABLE, ((0, 0), (0, 8))), "values and more: 48 along axis 1 instead of 40"),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_values_at_other_places(name: str) -> None:
    r, y, says = LAYOUTS[name]
    assert says in only(of(r, y if r is INTEGERS else faithful(y)))


VALUES = {
    "half": (TABLE, TABLE / 2, "output has the model's values times 0.5"),
    "255": (TABLE, TABLE / 255, "times 0.00392157 (1/255)"),
    "sqrt": (TABLE, TABLE * np.sqrt(40), "times 6.32456 (sqrt(40))"),
    "axis": (TABLE, TABLE / 12, "times 0.0833333 (1/12, the length of an axis)"),
    "bessel": (TABLE, TABLE * 12 / 11, "times 1.09091 (12/11: a variance with and without Bessel's correction)"),
    "any": (TABLE, TABLE * 1.37, "times 1.37"),
    "nearly one": (TABLE, TABLE * (1 + 5e-4), "output has the model's values times 1.0005"),
    "sign": (TABLE, -TABLE, "output has the model's values with the other sign"),
    "plus": (TABLE, TABLE + 0.25, "output has the model's values plus 0.25"),
    "minus": (TABLE, TABLE - 3, "output has the model's values minus 3"),
    "affine": (TABLE, 2 * TABLE - 1, "output has the model's values times 2 minus 1"),
    "bias": (TABLE, TABLE + numbers(40, seed=1), "is off by a constant for each index of axis 1: a bias that is"),
    "scale": (TABLE, TABLE * (2 + numbers(12, 1, seed=1) ** 2), "is off by a factor for each index of axis 0"),
    "softmax missing": (softmax(TABLE, 1), TABLE, "lacks the last softmax: softmax of it over axis 1 is what"),
    "softmax twice": (softmax(3 * TABLE, 1), softmax(softmax(3 * TABLE, 1), 1), "is softmax over axis 1 of what"),
    "other axis": (log_softmax(TABLE, 1), TABLE, "lacks the last log_softmax"),
    "log": (softmax(TABLE, 1), log_softmax(TABLE, 1), "lacks the last exp: exp of it is what the model returns"),
    "exp": (TABLE, np.exp(TABLE), "is exp of what the model returns: one exp too many"),
    "sigmoid missing": (sigmoid(TABLE), TABLE, "lacks the last sigmoid: sigmoid of it is what the model returns"),
    "sigmoid twice": (TABLE, sigmoid(TABLE), "is sigmoid of what the model returns: one sigmoid too many"),
    "relu missing": (np.maximum(TABLE, 0), TABLE, "lacks the last relu"),
    "relu too many": (TABLE, np.maximum(TABLE, 0), "is relu of what the model returns: one relu too many"),
    "zeros": (TABLE, np.zeros_like(TABLE), "output is 0.0 everywhere, the model's values vary"),
    "nan": (TABLE, np.full_like(TABLE, np.nan), "output is NaN everywhere"),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_values_changed(name: str) -> None:
    r, y, says = VALUES[name]
    assert says in only(of(r, faithful(y)))


@pytest.mark.parametrize(
    ("model", "runtime", "says"),
    [
        (np.nan, 0.0, "has 0 where the model gives NaN"),
        (np.nan, 7.0, "has numbers where the model gives NaN"),
        (-np.inf, np.finfo(np.float32).min, "has infinities clipped to the largest finite number"),
        (np.finfo(np.float32).min, -np.inf, "has infinity where the model gives a huge finite number (a mask?)"),
        (np.inf, np.nan, "has NaN where the model gives infinity"),
    ],
)
def test_numbers_that_are_none(model: float, runtime: float, says: str) -> None:
    r, y = TABLE.copy(), faithful(TABLE)
    r[2, 3:7], y[2, 3:7] = model, runtime
    assert only(of(r, y)) == f"output {says}"


INTEGRAL: dict[str, tuple[Array, Array, str]] = {
    "narrowed": (INTEGERS, INTEGERS.astype(np.int32), "output has the model's values, as int32 instead of int64"),
    "as floats": (INTEGERS, INTEGERS.astype(np.float32), "output has the model's values, as float32 instead of int64"),
    "wrapped": (LONG, LONG.astype(np.int32), "has the model's values modulo 2^32: int64 was narrowed to int32"),
    "overflow": (LONG, LONG.astype(np.int32).astype(np.int64), "modulo 2^32: computed in 32 bits, and overflowed"),
    "unsigned": (INTEGERS, INTEGERS % 256, "has the model's values modulo 2^8: computed in 8 bits, and overflowed"),
    "clipped": (INTEGERS, INTEGERS.clip(-128, 127), "has the model's values clipped to the range of int8"),
    "inverted": (BOOLS, ~BOOLS, "output is inverted: true where the model gives false, and the reverse"),
    "from one": (INTEGERS, INTEGERS + 1, "output has the model's values plus 1"),
    "cut off": (INTEGERS, INTEGERS - (TABLE[:8, :9] > 1), "is one less in"),
    "rounded": (INTEGERS, INTEGERS + np.sign(np.rint(TABLE[:8, :9])).astype(int), "is one more or less in"),
}  # fmt: skip


@pytest.mark.parametrize("name", INTEGRAL)
def test_integers_and_bools(name: str) -> None:
    r, y, says = INTEGRAL[name]
    assert says in only(of(r, y))


def test_another_floating_dtype() -> None:
    assert (
        only(of(TABLE, faithful(TABLE).astype(np.float64)))
        == "output has the model's values, as float64 instead of float32"
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_an_output_that_was_rounded(dtype: str) -> None:
    y = faithful(TABLE).astype(getattr(ml_dtypes, dtype, dtype)).astype(np.float32)
    # That is no complete explanation: what computes in a narrower dtype rounds its output, too.
    says = f"output has {dtype} numbers only: the output was rounded to {dtype}, or computed in it"
    assert of(TABLE, y) == ([says], False)


# -- rows --------------------------------------------------------------------------------------------------------------


def wrong_rows(*rows: int, value: Any = None) -> Array:
    y = faithful(TABLE)
    for row in rows:
        y[row] = numbers(40, seed=row) if value is None else value
    return y


def test_one_wrong_row() -> None:
    assert only(of(TABLE, wrong_rows(3))) == "output is wrong only in row 3 of axis 0 (of 12); all else is the model's"


def test_a_row_of_nan() -> None:
    says = (
        "output is wrong only in row 3 of axis 0 (of 12), where NaN is (0 divided by 0: attention over masked positions"
    )
    assert says in only(of(TABLE, wrong_rows(3, value=np.nan)))


def test_rows_with_infinity() -> None:
    says = "only in rows 3 and 5 of axis 0 (of 12), where infinity is (the logarithm of 0, or a division by 0: "
    assert says in only(of(TABLE, wrong_rows(3, 5, value=-np.inf)))


def test_infinity_that_is_the_models_own_explains_nothing() -> None:
    masked = TABLE.copy()
    masked[:, 0] = -np.inf
    y = faithful(masked)
    y[3, 1:] = numbers(39, seed=3)
    assert not any("infinity" in hint for hint in of(masked, y)[0])


def test_a_row_of_zeros() -> None:
    assert "only in rows 2, 5 and 7 of axis 0 (of 12), which are 0;" in only(of(TABLE, wrong_rows(2, 5, 7, value=0)))


def test_a_row_that_comes_twice() -> None:
    assert "only in row 11 of axis 0 (of 12), which holds row 10 again" in only(
        of(TABLE, wrong_rows(11, value=TABLE[10]))
    )


def test_the_last_rows_of_what_is_longer_than_the_exported_set() -> None:
    found = hints(
        [
            seen("a", {"": TABLE[:, :30]}, {}),
            seen(
                "b", {"": TABLE}, {"": np.hstack([faithful(TABLE[:, :30]), numbers(12, 10, seed=4).astype(np.float32)])}
            ),
        ],
        "a",
    )
    assert only(found) == (
        "input set 'b': output is wrong only in rows 30 to 39 of axis 1, the last 10 of 40 (the exporters' input set "
        "has 30 there: the length was baked in); all else is the model's"
    )


def test_rows_of_another_input_set() -> None:
    other = numbers(12, 40, seed=8)
    y = faithful(TABLE)
    y[:2] = other[:2]
    found = hints([seen("a", {"": other}, {}), seen("b", {"": TABLE}, {"": y})], "a")
    assert (
        "rows 0 to 1 of axis 0, the first 2 of 12, which hold what the model gives for input set 'a': a constant"
        in only(found)
    )


def test_ties() -> None:
    scores = TABLE.copy()
    scores[3, 7] = scores[3, 2] = 9.0
    best = scores.argmax(1)
    other = best.copy()
    other[3] = 7
    one = seen("first", {"[0]": scores, "[1]": best}, {"[0]": faithful(scores), "[1]": other})
    assert only(hints([one], "first")) == "output[1] is another index of equal values: output[0] has ties along axis 1"
    other[4] = (best[4] + 1) % 40
    one = seen("first", {"[0]": scores, "[1]": best}, {"[0]": faithful(scores), "[1]": other})
    assert "ties" not in str(hints([one], "first"))


# -- several outputs, several input sets -------------------------------------------------------------------------------

A, B, C = (numbers(6, 8, seed=seed) for seed in (11, 12, 13))


def test_outputs_swapped() -> None:
    one = seen("first", {"[0]": A, "[1]": B, "[2]": C}, {"[0]": faithful(B), "[1]": faithful(A), "[2]": faithful(C)})
    assert only(hints([one], "first")) == "output[0] is the model's output[1] and the reverse"


def test_outputs_in_a_circle() -> None:
    one = seen("first", {"[0]": A, "[1]": B, "[2]": C}, {"[0]": faithful(B), "[1]": faithful(C), "[2]": faithful(A)})
    assert only(hints([one], "first")) == (
        "output[0] is the model's output[1], output[1] is the model's output[2] and output[2] is the model's output[0]"
    )


def test_outputs_under_other_names() -> None:
    one = seen("first", {"['logits']": A, "['x']": B}, {"['y']": faithful(A), "['x']": faithful(B)})
    assert only(hints([one], "first")) == "output['y'] is the model's output['logits']"


def test_outputs_that_are_wrapped() -> None:
    r, y = {"['x']": A, "['y']": B}, {"[1][0]['x']": faithful(A), "[1][0]['y']": faithful(B)}
    says = "output[1][0] is all that the model returns: it comes wrapped in something"
    assert only(hints([seen("first", r, y)], "first")) == says
    r, y = {"[0]['x']": A, "[0]['y']": B}, {"['x']": faithful(A), "['y']": faithful(B)}
    assert only(hints([seen("first", r, y)], "first")) == "output is the model's output[0]"
    r, y = {"['x']": A, "['y']": B}, {"['ax']": faithful(A), "['ay']": faithful(B)}
    says = "output['ax'] is the model's output['x'] and output['ay'] is the model's output['y']"
    assert only(hints([seen("first", r, y)], "first")) == says


def test_one_hint_for_all_outputs_that_share_it() -> None:
    one = seen(
        "first", {"[0]": A, "[1]": B, "[2]": C}, {"[0]": faithful(2 * A), "[1]": faithful(2 * B), "[2]": faithful(C)}
    )
    assert only(hints([one], "first")) == "each of output[0] and output[1] has the model's values times 2"


def test_at_most_two_hints() -> None:
    one = seen(
        "first", {"[0]": A, "[1]": B, "[2]": C}, {"[0]": faithful(2 * A), "[1]": faithful(-B), "[2]": faithful(C + 1)}
    )
    found, complete = hints([one], "first")
    assert (len(found), complete) == (2, True)


def test_the_exported_set_again() -> None:
    found = hints([seen("a", {"": A}, {}), seen("b", {"": B}, {"": faithful(A)})], "a")
    assert only(found) == (
        "input set 'b': output is what the model gives for input set 'a', the one that was exported: a "
        "constant was baked in"
    )


def test_the_exported_set_again_in_its_shape() -> None:
    found = hints([seen("a", {"": A}, {}), seen("b", {"": TABLE}, {"": faithful(A)})], "a")
    assert "output is what the model gives for input set 'a', the one that was exported: a constant" in only(found)


def test_the_same_for_every_set() -> None:
    found = hints([seen(name, {"": r}, {"": faithful(C)}) for name, r in (("a", A), ("b", B))], "a")
    assert found[0][0] == (
        "input set 'a': output is the same for input sets 'a' and 'b', where the model's differ: a constant "
        "was baked in"
    )


def test_the_exported_shape() -> None:
    found = hints([seen("a", {"": A}, {}), seen("b", {"": TABLE}, {"": faithful(C)})], "a")
    assert only(found) == (
        "input set 'b': output has length 6 along axis 0 and length 8 along axis 1, as for the exported input set 'a': "
        "a length was baked in"
    )


def test_the_exported_length() -> None:
    sets = [seen("a", {"": A}, {})]
    for name, rows in (("b", 3), ("c", 5)):
        y = numbers(rows, 8, seed=rows).astype(np.float32)
        sets.append(seen(name, {"": numbers(rows, 20, seed=rows + 20)}, {"": y}))
    says = "output has length 8 along axis 1, as for the exported input set 'a': a length was baked in"
    assert only(hints(sets, "a")) == says


def test_a_length_that_the_exported_set_itself_does_not_get_is_not_baked_in() -> None:
    """A runtime that took the length of another axis: frames for the batch."""
    sets = [seen("a", {"": numbers(2, 8)}, {"": faithful(numbers(30, 8))})]
    sets.append(seen("b", {"": numbers(1, 8, seed=1)}, {"": faithful(numbers(2, 8, seed=2))}))
    assert "baked in" not in str(hints(sets, "a"))


def sized(name: str, length: int, right: bool, ran: bool = True) -> Seen:
    """An input set whose tensor x has that length; where it is not right, its output is another."""
    r = numbers(length, 40, seed=length)
    wrong = {} if right or not ran else {"": faithful(numbers(length, 40, seed=length + 50))}
    return replace(seen(name, {"": r}, wrong), ran=ran, shapes={"/args/0": [length, 8]}, sizes=f"x ({length}, 8)")


def test_a_length_that_a_trace_baked_in() -> None:
    """Right for the length that was exported, wrong for a longer one, refused for a shorter one."""
    sets = [sized("five", 5, True), sized("again", 5, True), sized("nine", 9, False), sized("two", 2, False, ran=False)]
    assert only_exported_size(sets, "five") == (
        "right only for the size that was exported, x (5, 8) ('five' and 'again'): a length was baked in, as by a "
        "Python loop over it in forward, or by int(x.shape[0])"
    )
    assert only_exported_size(sets[1:], "again")


@pytest.mark.parametrize(
    ("why", "sets"),
    [
        ("one of each is an accident", [("a", 5, True, True), ("b", 9, False, True)]),
        ("another length is right", [("a", 5, True, True), ("b", 9, False, True), ("c", 2, True, True)]),
        ("other values are wrong", [("a", 5, True, True), ("b", 5, False, True), ("c", 2, False, True)]),
        ("the exported set is wrong", [("a", 5, False, True), ("b", 9, False, True), ("c", 2, False, True)]),
        ("all others are refused", [("a", 5, True, True), ("b", 9, False, False), ("c", 2, False, False)]),
    ],
)
def test_no_length_that_was_baked_in(why: str, sets: list[tuple[str, int, bool, bool]]) -> None:
    assert only_exported_size([sized(*one) for one in sets], "a") is None, why


# -- silence -----------------------------------------------------------------------------------------------------------

OTHERS = {
    "unrelated": numbers(12, 40, seed=5),
    "noise of 1e-3": TABLE + 1e-3 * numbers(12, 40, seed=5),
    "relative noise": TABLE * (1 + 0.02 * numbers(12, 40, seed=5)),
    "huge and unrelated": 1e6 * numbers(12, 40, seed=5),
    "unrelated and far from 0": 100 + numbers(12, 40, seed=5),
    "a few wrong elements": TABLE + (numbers(12, 40, seed=5) > 2),
    "one wrong element": TABLE + (np.arange(480).reshape(12, 40) == 123),
    "another shape": numbers(12, 41, seed=5),
    "transposed in parts": np.vstack([TABLE[:, :12].T @ TABLE, TABLE[:0]]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_errors_without_a_pattern_have_no_hint(name: str) -> None:
    assert of(TABLE, faithful(OTHERS[name])) == ([], False)


@pytest.mark.parametrize("seed", range(5))
def test_small_outputs_are_explained_by_anything(seed: int) -> None:
    """Hence by nothing: two or three numbers can be scaled and shifted to any others."""
    for shape in ((1,), (2,), (3,), (2, 2), (1, 4)):
        r, y = numbers(*shape, seed=seed) + 2, numbers(*shape, seed=seed + 100)
        if r.size > 1:
            assert of(r, faithful(y)) == ([], False), shape


def test_a_few_errors_that_happen_to_leave_rows_alone() -> None:
    r = numbers(5, 4)
    y = faithful(r)
    y[3, :2] += 1
    y[4, 1:3] += 2
    assert of(r, y) == ([], False)


@pytest.mark.parametrize("seed", range(5))
def test_unrelated_integers_and_bools(seed: int) -> None:
    random = np.random.default_rng(seed + 50)
    assert of(INTEGERS, random.integers(-1000, 1000, INTEGERS.shape)) == ([], False)
    assert of(BOOLS, random.random(BOOLS.shape) < 0.4) == ([], False)
    few = random.random((2, 2)) < 0.5
    few[0, 0], few[1, 1] = True, False
    assert of(few, ~few) == ([], False)


def test_constant_references_explain_nothing() -> None:
    from pytest_modelconform.compare import make_reference
    from pytest_modelconform.diagnosis.judge import Seen

    ones = np.ones((4, 5))
    reference = make_reference(ones, ones.astype(np.float32), [ones.astype(np.float32)] * 4, "float32")
    assert hints([Seen("first", {"": reference}, {"": (2 * ones).astype(np.float32)})], "first") == ([], False)


def test_what_passes_needs_no_hint() -> None:
    assert of(TABLE, faithful(TABLE)) == ([], False)


def test_without_time_nothing_is_looked_at() -> None:
    assert hints([seen("first", {"": TABLE}, {"": faithful(2 * TABLE)})], "first", late=lambda: True) == ([], False)


def test_only_the_exported_set_is_right() -> None:
    right, wrong = seen("a", {"": TABLE}, {}), seen("b", {"": TABLE}, {"": TABLE + 1})
    also = seen("c", {"": TABLE}, {"": TABLE - 1})
    assert only_exported([right, wrong, also], "a") == (
        "only the exported input set 'a' is right: something that depends on the inputs was baked in"
    )
    # Two sets don't make a pattern; nor do a set that passes beside it, or an exported one that doesn't.
    assert only_exported([right, wrong], "a") is None
    assert only_exported([right, wrong, seen("c", {"": TABLE}, {})], "a") is None
    assert only_exported([right, wrong, also], "b") is None


# -- never absurd ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1 - 3.7e-7, 1 + 2.5e-6, 1 + 1e-4])
def test_no_factor_is_named_that_is_one_but_for_what_rounding_might_do(factor: float) -> None:
    assert of(TABLE, faithful(TABLE * factor)) == ([], False)


def test_no_constant_is_named_that_is_nothing() -> None:
    assert of(TABLE, faithful(TABLE + 3e-6)) == ([], False)
    assert of(TABLE, faithful(TABLE * (1 + 2e-6) - 3e-6)) == ([], False)


def on_the_line(change: Any) -> Array:
    """What is hardly beyond the tolerance, and within it once something has been undone that hardly matters."""
    r = TABLE.copy()
    noise = reference(r).noise
    assert noise is not None
    size = float(noise[0]) * 2.0 ** (limits(Tolerance(), "float32")[0] + 0.5)
    return (r + size * change).astype(np.float32)


@pytest.mark.parametrize(
    "change",
    [TABLE, np.ones((12, 40)), np.repeat(numbers(1, 40, seed=2), 12, 0), TABLE**2],
    ids=["factor", "constant", "bias", "square"],
)
def test_what_is_hardly_beyond_the_tolerance_has_no_pattern(change: Array) -> None:
    y = on_the_line(change)
    assert seen("first", {"": TABLE}, {"": y}).wrong
    assert of(TABLE, y) == ([], False)


def test_rows_that_are_nearly_the_same_are_not_reversed() -> None:
    """Whatever is on the line may pass with its rows in another order, where these hardly differ."""
    r = np.tile(numbers(1, 40), (12, 1)) * (1 + 1e-7 * np.arange(12)[:, None])
    noise = reference(r).noise
    assert noise is not None
    y = r[::-1] + 5 * float(noise[0]) * np.sign(numbers(12, 40, seed=4))
    assert of(r, y.astype(np.float32))[0] == []


def test_small_numbers_have_logarithms() -> None:
    """A spread of 1e-310 over an error of 1e10 is no number any more."""
    assert agreement(np.array([1e10, -1e10]), np.array([0.0, 1e-310])) == -60.0
    assert agreement(np.array([1e300, -1e300]), np.array([0.0, 1e-300]), signal=5e-324) == -60.0


def test_only_the_exported_set_passes_and_the_others_are_close() -> None:
    """CREPE with 3 frames passes, with 100 it doesn't: groups begin at 64 elements. Nothing was baked in."""
    y = faithful(TABLE + 2.0**-18 * numbers(12, 40, seed=6))
    others = [seen(name, {"": TABLE}, {"": y}) for name in ("b", "c")]
    assert all(judge.close for one in others for judge in one.wrong.values())
    assert only_exported([seen("a", {"": TABLE}, {}), *others], "a") is None


def test_complex_numbers_times_a_factor() -> None:
    r = numbers(6, 9) + 1j * numbers(6, 9, seed=1)

    def run(seed: int) -> Array:
        return np.asarray(r * (1 + 1e-7 * numbers(6, 9, seed=seed)), dtype=np.complex64)

    made = make_reference(r, run(2), [run(seed) for seed in (3, 4, 5)], "complex64")
    assert only(hints([Seen("first", {"": made}, {"": 2.5 * run(6)}, {})], "first")) == (
        "output has the model's values times 2.5"
    )
    assert only(hints([Seen("first", {"": made}, {"": run(6) + np.float32(2)}, {})], "first")) == (
        "output has the model's values plus 2"
    )


def test_complex_numbers_as_pairs() -> None:
    r = numbers(6, 9) + 1j * numbers(6, 9, seed=1)

    def run(seed: int) -> Array:
        return np.asarray(r * (1 + 1e-7 * numbers(6, 9, seed=seed)), dtype=np.complex64)

    made = make_reference(r, run(2), [run(seed) for seed in (3, 4, 5)], "complex64")
    pairs = run(6).view(np.float32).reshape(6, 9, 2)
    assert only(hints([Seen("first", {"": made}, {"": pairs}, {})], "first")) == (
        "output has the model's complex numbers as pairs of real ones: `torch.view_as_complex` makes them complex again"
    )
    for other in (pairs[..., ::-1], pairs + 1, pairs[:5]):
        found, _ = hints([Seen("first", {"": made}, {"": np.ascontiguousarray(other)}, {})], "first")
        assert not any("pairs" in hint for hint in found)
