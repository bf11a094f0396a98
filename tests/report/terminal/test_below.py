"""Below the matrix: totals, limits, refused input sets, and what there is to say of models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support.printing import printed

ALL = {"verdict": "unsupported", "message": "format aoti can't take transposed tensors: why", "limit": "x"}
ONE = {
    "verdict": "unsupported",
    "message": "image was exported as (3, 16), this set has (5, 16); give dynamic_shapes\nRuntimeError: a long story",
}
PASSED = {"verdict": "pass"}


def cell(case: str, format_name: str, runtime: str, **more: str) -> Cell:
    return Cell(f"{case}.py", case, format_name, runtime, **more)


def check(case: str, **more: str) -> Cell:
    return cell(case, "eager", "eager", **more)


def test_a_limit_of_a_format_is_said_once_and_its_cells_are_passes() -> None:
    passes = Outcome(Verdict.PASS, bits=19.0, inputs={"a": PASSED, "auto-transposed": ALL})
    partly = replace(passes, inputs={**passes.inputs, "one": ONE})
    found = [(cell(case, "aoti", r), passes) for case in ("net", "other") for r in ("torch", "libtorch-cpp")]
    found.append((cell("third", "aoti", "torch"), partly))
    text = printed(found)
    assert text.count("format aoti can't take transposed tensors: why") == 1
    assert "\n  aoti in libtorch-cpp, torch: format aoti can't take transposed tensors: why\n" in text
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith(("net", "third"))}
    # What a user's own inputs meet stays a half.
    assert rows == {"net": [".", "19", ".", "19"], "third": ["o", "19"]}


def test_why_input_sets_were_refused_is_said_once_for_all_columns() -> None:
    partly = Outcome(Verdict.PASS, inputs={"three": PASSED, "one": ONE})
    found = [(cell("twostream", "onnx", r), partly) for r in ("ort", "ort-cpp", "openvino", "openvino-cpp")]
    found.append((cell("net", "export", "torch"), partly))
    lines = printed(found, width=80).splitlines()
    at = lines.index("Input sets that were refused")
    assert lines[at + 1 :] == [
        "  net: set 'one' refused: image was exported as (3, 16), this set has (5, 16);",
        "    give dynamic_shapes (export in torch)",
        "  twostream: set 'one' refused: image was exported as (3, 16), this set has (5,",
        "    16); give dynamic_shapes (in 4 columns)",
    ]


def test_what_cannot_be_done_or_is_not_there_is_said_by_reason() -> None:
    absent = Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT, "runtime openvino needs openvino")
    limited = Outcome(Verdict.UNSUPPORTED, Stage.EXPORT, "format caffe can't: float16: blobs are wider")
    found = [(cell(case, "onnx", "openvino"), absent) for case in ("a", "b")] + [(cell("a", "caffe", "caffe"), limited)]
    text = printed(found)
    assert "Unavailable on this machine\n  2 cells: runtime openvino needs openvino\n" in text
    assert "known in advance\n  1 cell: format caffe can't: float16: blobs are wider\n" in text


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ([], "0 cells: nothing ran"),
        ([Outcome(Verdict.PASS)], "1 cell: . 1 pass"),
        (
            [Outcome(Verdict.PASS), Outcome(Verdict.ERROR, expected=True), Outcome(Verdict.ERROR)],
            "3 cells: . 1 pass, E 1 error, e 1 error (expected)",
        ),
        (
            [Outcome(Verdict.PASS), Outcome(Verdict.PASS, expected=False), Outcome(Verdict.ERROR, expected=False)],
            "3 cells: . 1 pass, ! 2 not as expected",
        ),
        (
            [Outcome(Verdict.PASS), Outcome(Verdict.PASS, inputs={"three": PASSED, "one": ONE})],
            "2 cells: . 1 pass, o 1 pass in part",
        ),
    ],
)
def test_totals(outcomes: list[Outcome], said: str) -> None:
    found = [(cell(f"case{i}", "onnx", "ort"), outcome) for i, outcome in enumerate(outcomes)]
    assert said in printed(found).splitlines()


def test_what_is_imprecise_says_why() -> None:
    close = Outcome(Verdict.IMPRECISE, Stage.COMPARE, "output loses 12.1 bits\nand more", bits=21.3)
    found = [(cell("vit", "onnx", "ort"), close), (cell("vit", "onnx", "mnn"), replace(close, strict=True))]
    lines = printed(found).splitlines()
    # One is no failure, the other is.
    assert "  vit[onnx-ort-cpu]: imprecise: output loses 12.1 bits" in lines
    assert "  vit[onnx-mnn-cpu]: imprecise: output loses 12.1 bits" not in lines
    assert "vit.py::vit[onnx-mnn-cpu]: imprecise at stage compare" in lines
    assert "vit.py::vit[onnx-ort-cpu]: imprecise at stage compare" not in lines


def test_what_formats_that_quantise_leave_of_a_model() -> None:
    quantised = {"ort": 5.42, "openvino": 5.06}
    found = [
        (cell("net", "onnx-int8", runtime), Outcome(Verdict.PASS, bits=bits, reference_bits=20.1))
        for runtime, bits in quantised.items()
    ]
    found.append((cell("net", "onnx-fp16", "ort"), Outcome(Verdict.PASS, bits=11.3, reference_bits=20.1)))
    found.append((cell("net", "onnx", "ort"), Outcome(Verdict.PASS, bits=19.9, reference_bits=20.1)))
    found.append(
        (cell("bad", "onnx-int8", "ort"), Outcome(Verdict.MISMATCH, Stage.COMPARE, "0.8 bits are right", bits=0.8))
    )
    lines = printed(found).splitlines()
    at = lines.index("Accuracy of formats that quantise")
    assert sorted(lines[at + 1].replace(",", "").split()) == sorted(
        ["net:", "onnx-int8", "5.1", "onnx-fp16", "11.3", "of", "20.1", "bits"]
    )
    # What is a mismatch has its own words.
    assert lines[at + 2] == ""


def test_notes_on_a_model_are_wrapped_and_never_cut() -> None:
    note = (
        "cannot see 5 of its 12 tensors, a change of 1 % in them stays under the noise: backbone.layer1.weight, "
        "backbone.layer1.bias, head.weight: give it weights that show, generic_weights(...)"
    )
    found = [(check("net"), Outcome(Verdict.PASS, notes=(note,)))]
    found += [(check("net", dtype="float16"), Outcome(Verdict.PASS, notes=(note,)))]
    found += [(check("bad"), Outcome(Verdict.ERROR, Stage.REFERENCE, "zero everywhere", notes=("not here",)))]
    for width in (80, 120):
        lines = printed(found, width=width).splitlines()
        at = lines.index("About the models")
        lines = lines[at + 1 : lines.index("", at)]
        assert max(map(len, lines)) <= width
        # The same of several dtypes is said once.
        assert " ".join(line.strip() for line in lines) == f"net, net float16: {note}"
        assert all(line.startswith("    ") for line in lines[1:])


def test_what_models_change_from_several_threads() -> None:
    threads: dict[str, Any] = {"identical": False}
    note = "from several threads at once (8 on one instance) it returns other numbers"
    text = printed([(cell("net", "onnx", "ort"), Outcome(Verdict.PASS, threads=threads, notes=(note, "another")))])
    assert f"Several threads\n  net[onnx-ort-cpu]: {note}\n" in text
    assert "another" not in text


def test_how_models_were_compiled() -> None:
    note = "torch.compile: 2 graph breaks: net.py:9, in forward: why"
    found = [(cell("net", "module", "torch-compile"), Outcome(Verdict.PASS, notes=(note, "another")))]
    found.append(
        (cell("bad", "module", "torch-compile"), Outcome(Verdict.MISMATCH, Stage.COMPARE, "why", notes=(note,)))
    )
    text = printed(found)
    assert "torch.compile\n  net[module-torch_compile-cpu]: 2 graph breaks: net.py:9, in forward: why\n" in text
    assert "another" not in text
    assert "\n  bad[" not in text.partition("\ntorch.compile\n")[2].partition("\n\n")[0]
    many = printed([(cell(f"net{n}", "module", "torch-compile"), found[0][1]) for n in range(10)])
    assert many.count("2 graph breaks") == 8
    assert "\n  and 2 cells more, in the log\n" in many
