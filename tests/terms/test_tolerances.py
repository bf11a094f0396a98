"""Which tolerance counts for a cell, and what its numbers are where a case leaves them out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_modelconform.compare import compare_tensor, make_reference
from pytest_modelconform.terms.accuracy import ACCURACIES, UNCALIBRATED, of_generated
from pytest_modelconform.terms.case import DEFAULTS, Tolerance
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Verdict
from pytest_modelconform.terms.tolerances import choose, fault, limits, loss_note, said

CELL = Cell("a.py", "a", "onnx", "openvino", dtype="bfloat16", precision="fast")
OTHERS = {
    "openvino": Tolerance(bits_lost=5, reason="it fuses the norm"),
    "fast": Tolerance(worst=7),
    "bfloat16": Tolerance(rtol=0.1),
}


@pytest.mark.parametrize("dtype", DEFAULTS)
def test_the_dtypes_defaults(dtype: str) -> None:
    assert limits(Tolerance(), dtype) == DEFAULTS[dtype]
    assert limits(Tolerance(worst=0), dtype) == (DEFAULTS[dtype][0], 0)
    assert limits(Tolerance(bits_lost=9), dtype) == (9, DEFAULTS[dtype][1])


def test_tensors_of_dtypes_that_no_model_is_cast_to_have_defaults() -> None:
    for dtype, like in {"complex64": "float32", "complex128": "float64", "float8_e5m2": "bfloat16"}.items():
        assert limits(Tolerance(), dtype) == DEFAULTS[like]


def test_runtime_before_fast_before_dtype_before_the_cases() -> None:
    cases = Tolerance(bits_lost=1)
    found, notes = choose(cases, OTHERS, CELL)
    # As a whole, and with the defaults of the cell's dtype.
    assert (found.bits_lost, found.worst, found.rtol) == (5, DEFAULTS[CELL.dtype][1], None)
    assert notes == ("tolerance for openvino: bits_lost=5: it fuses the norm",)
    assert choose(cases, OTHERS, replace(CELL, runtime="ort"))[1] == ("tolerance for fast: worst=7",)
    full = replace(CELL, runtime="ort", precision="full")
    assert choose(cases, OTHERS, full)[1] == ("tolerance for bfloat16: rtol=0.1",)
    assert choose(cases, OTHERS, replace(full, dtype="float32")) == (Tolerance(bits_lost=1, worst=4), ())


def test_that_of_a_variant_comes_first() -> None:
    half = Tolerance(bits_lost=13, reason="weights in float16")
    others = {**OTHERS, "onnx@half": half}
    found, notes = choose(Tolerance(), others, replace(CELL, format="onnx@half"))
    assert (found.bits_lost, notes) == (13, ("tolerance for onnx@half: bits_lost=13: weights in float16",))
    assert choose(Tolerance(), others, CELL) == choose(Tolerance(), OTHERS, CELL)
    # Of a variant that the case has; a format's name alone is no key.
    assert fault("a", {"onnx@half": half}, ["ort"], ["onnx@half"]) is None
    unknown = fault("a", {"onnx@halb": half}, ["ort"], ["onnx@half", "onnx"])
    assert unknown is not None
    assert (
        "'onnx@halb' is not a runtime, a dtype, 'fast' or a quantised format, nor a variant of exports=. Did you mean "
        "'onnx@half'?" in unknown
    )
    assert fault("a", {"onnx": half}, ["ort"], ["onnx"]) is not None
    silent = fault("a", {"onnx@half": Tolerance(bits_lost=13)}, ["ort"], ["onnx@half"])
    assert silent is not None
    assert "that for variant 'onnx@half' needs a reason" in silent


def test_unknown_keys_and_missing_reasons() -> None:
    assert fault("a", OTHERS, ["ort", "openvino"]) is None
    unknown = fault("a", {"bfloat": Tolerance()}, ["ort"])
    assert unknown == (
        "case 'a', field 'tolerances': 'bfloat' is not a runtime, a dtype, 'fast' or a quantised format. Did you mean "
        "'bfloat16'? Known: ort, fast, float32, float64, float16, bfloat16, int8, onnx-fp16, onnx-int8, "
        "openvino-int8, litert-int8"
    )
    for reason in ("", "  "):
        silent = fault("a", {"ort": Tolerance(atol=1e-3, cosine=0.9, reason=reason)}, ["ort"])
        assert silent == (
            "case 'a', field 'tolerances': that for runtime 'ort' needs a reason: "
            'Tolerance(atol=0.001, cosine=0.9, reason="…")'
        )


def test_a_tolerance_in_words() -> None:
    assert said(Tolerance(bits_lost=3.5, worst=6, reason="because")) == "bits_lost=3.5, worst=6"
    assert said(Tolerance()) == "the dtype's default"


def test_an_output_of_bfloat16_is_judged_by_bfloat16s_default() -> None:
    import ml_dtypes

    r = np.random.default_rng(0).standard_normal((40, 40))
    eager = r.astype(ml_dtypes.bfloat16)
    reference = make_reference(r, eager, [eager] * 4, "bfloat16")
    # Beyond what bfloat16's noise allows, and less than 2 bits of it.
    off = (r + 2**2.8 * (eager.astype(np.float64) - r)).astype(ml_dtypes.bfloat16)
    found = compare_tensor(off, reference, Tolerance(worst=9), where="output", dtype="bfloat16")
    assert f"({DEFAULTS['bfloat16'][0]:g} may be lost)" in found.message
    assert compare_tensor(off, reference, Tolerance(bits_lost=2, worst=9), where="output", dtype="bfloat16").ok


def test_formats_that_quantise_have_an_accuracy_of_their_own() -> None:
    quantised = replace(CELL, format="onnx-int8", runtime="ort")
    # Neither what the case says of faithful arithmetic, nor of the runtime.
    others = {"ort": Tolerance(bits_lost=5, reason="it fuses"), **OTHERS}
    assert choose(Tolerance(rtol=1e-5), others, quantised) == (ACCURACIES["onnx-int8"], ())
    assert choose(Tolerance(), {}, replace(quantised, format="onnx-int8@ours"))[0] == ACCURACIES["onnx-int8"]
    given = {"onnx-int8": Tolerance(cosine=0.9, reason="a classifier")}
    assert fault("a", given, ["ort"]) is None
    found, notes = choose(Tolerance(), given, quantised)
    assert (found.cosine, found.bits, notes) == (0.9, None, ("tolerance for onnx-int8: cosine=0.9: a classifier",))
    assert choose(Tolerance(), given, replace(quantised, format="onnx-int8@ours"))[0].cosine == 0.9
    # An export of the user's own may be quantised, too, and only the user knows.
    ours = {"onnx@ours": Tolerance(bits=5, reason="int8 by our script"), **others}
    assert fault("a", ours, ["ort", "openvino"], ["onnx@ours"]) is None
    assert choose(Tolerance(), ours, replace(quantised, format="onnx@ours"))[0].bits == 5
    assert choose(Tolerance(), ours, replace(quantised, format="onnx"))[0].bits_lost == 5
    strict, _ = choose(Tolerance(), {"onnx-int8": Tolerance(strict=True)}, quantised)
    assert (strict.bits, strict.strict) == (ACCURACIES["onnx-int8"].bits, True)
    ran = Outcome(Verdict.PASS, bits=5.04, reference_bits=22.6)
    assert loss_note("onnx-int8", ran, found) == "right to 5.0 of 22.6 bits (cosine=0.9 is asked for)"
    assert loss_note("onnx", ran, found) == ""


@pytest.mark.parametrize(
    ("format_name", "given", "bits"),
    [
        ("onnx-int8", None, UNCALIBRATED),
        ("onnx-int8@ours", None, UNCALIBRATED),
        ("onnx-fp16", None, ACCURACIES["onnx-fp16"].bits),  # float16 is calibrated by nothing
        ("onnx-int8", Tolerance(bits=5.0), 5.0),  # what the case says holds for all sets
        ("onnx", Tolerance(), None),
    ],
)
def test_generated_sets_are_none_that_int8_was_calibrated_with(
    format_name: str, given: Tolerance | None, bits: float | None
) -> None:
    tolerance = given or ACCURACIES[format_name.partition("@")[0]]
    assert of_generated(format_name, tolerance, "auto-shape").bits == bits
    # Of zeros, only what is NaN or infinite counts.
    assert of_generated(format_name, tolerance, "auto-zeros").bits == -60
