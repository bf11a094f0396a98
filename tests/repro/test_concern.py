"""Whom a failure concerns, from what others come to with the same artifact or with what it was made from."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelconform.repro import concern
from pytest_modelconform.repro.concern import About, Opinion, Party, Way
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict

PASS, WRONG = Outcome(Verdict.PASS), Outcome(Verdict.MISMATCH, Stage.COMPARE)
ONNX, MNN = Way(["onnx"], "torch.export"), Way(["mnn", "onnx"], "torch.export")
TRACE = Way(["torchscript-trace"], "torch.jit.trace")


def sets(outcome: Outcome, **verdicts: str) -> Outcome:
    return Outcome(outcome.verdict, outcome.stage, inputs={name: {"verdict": said} for name, said in verdicts.items()})


# Right for the exported input set, wrong or an error for another one.
HALF = sets(WRONG, four="pass", nine="mismatch")
RIGHT = sets(PASS, four="pass", nine="pass")
# It fails itself, but not where the other does.
ELSEWHERE = sets(WRONG, four="mismatch", nine="pass")
REFUSES = sets(Outcome(Verdict.ERROR, Stage.RUN), four="pass", nine="error")
UNLOADED = Outcome(Verdict.ERROR, Stage.LOAD, "no kernel")


def cell(format_name: str = "onnx", runtime: str = "ort") -> Cell:
    return Cell("a.py", "a", format_name, runtime)


def said(runtime: str, outcome: Outcome, about: About = About.SAME, **more: Any) -> Opinion:
    formats = {About.SAME: "onnx", About.SOURCE: "onnx", About.CAPTURED: "export"}
    return Opinion(about, cell(formats[about], runtime), outcome, **more)


@pytest.mark.parametrize(
    ("own", "way", "opinions", "party", "words"),
    [
        (HALF, ONNX, [said("openvino", RIGHT)], Party.RUNTIME, "openvino runs the same file and returns the model's"),
        (HALF, ONNX, [said("openvino", ELSEWHERE)], Party.RUNTIME, "so the file is right"),
        (HALF, ONNX, [said("openvino", HALF, agrees=True)], Party.EXPORTER, "openvino and ort have no code in common"),
        (
            HALF,
            ONNX,
            [said("openvino", HALF, agrees=True), said("onnx-reference", HALF, agrees=True)],
            Party.EXPORTER,
            "the yardstick of the format among them",
        ),
        # The evaluator decides between runtimes; without it nobody does.
        (
            HALF,
            ONNX,
            [said("tract", HALF, agrees=True), said("onnx-reference", RIGHT)],
            Party.RUNTIME,
            "onnx-reference runs the same file and returns the model's numbers, so the file is right. tract fails as",
        ),
        (HALF, ONNX, [said("tract", HALF, agrees=True), said("openvino", RIGHT)], Party.EITHER, "tract with it"),
        (
            HALF,
            ONNX,
            [said("onnx-reference", HALF, agrees=True), said("openvino", RIGHT)],
            Party.EXPORTER,
            "the yardstick of the format among them, though openvino returns the model's.",
        ),
        (HALF, ONNX, [said("onnx-reference", HALF), said("openvino", RIGHT)], Party.RUNTIME, "openvino runs the same"),
        # Wrong in another way is no evidence.
        (HALF, ONNX, [said("openvino", HALF)], Party.EITHER, "in other ways: openvino (mismatch at compare)"),
        (HALF, ONNX, [], Party.EITHER, "No other runtime here runs a file in onnx"),
        (REFUSES, ONNX, [said("openvino", RIGHT)], Party.RUNTIME, "openvino runs the same file"),
        # Two may lack the same operator: three hardly do, and not the evaluator.
        (UNLOADED, ONNX, [said("openvino", UNLOADED)], Party.EITHER, "in other ways: openvino (error at load)"),
        (
            UNLOADED,
            ONNX,
            [said("onnx-reference", UNLOADED)],
            Party.EXPORTER,
            "onnx-reference fails on this file, too.",
        ),
        (
            UNLOADED,
            ONNX,
            [said("a", UNLOADED), said("b", UNLOADED)],
            Party.EXPORTER,
            "a and b fail on this file, too.",
        ),
        (UNLOADED, ONNX, [said("openvino", PASS)], Party.RUNTIME, "openvino runs the same file"),
        # A crash is the runtime's, whatever others say.
        (
            Outcome(Verdict.CRASH, Stage.LOAD),
            ONNX,
            [said("openvino", UNLOADED)],
            Party.RUNTIME,
            "must not make it crash",
        ),
        (Outcome(Verdict.TIMEOUT, Stage.RUN), ONNX, [said("openvino", PASS)], Party.RUNTIME, "ort takes too long"),
        (
            Outcome(Verdict.MISMATCH, Stage.RUN, threads={"counts": [1, 2]}),
            ONNX,
            [],
            Party.RUNTIME,
            "ort is right in one thread, and fails from several",
        ),
        # A file that is converted from another one.
        (HALF, MNN, [said("ort", RIGHT, About.SOURCE)], Party.EITHER, "So it is the converter to mnn, or mnn"),
        (HALF, MNN, [said("ort", HALF, About.SOURCE, agrees=True)], Party.EXPORTER, "fails in ort in the same way"),
        (
            HALF,
            MNN,
            [said("two", HALF, agrees=True), said("ort", RIGHT, About.SOURCE)],
            Party.CONVERTER,
            "What it was converted from, onnx, is right in ort",
        ),
        # What was captured alike.
        (
            HALF,
            TRACE,
            [said("ort", HALF, About.CAPTURED, agrees=True)],
            Party.CAPTURE,
            "export in ort, which torch.jit",
        ),
        (HALF, TRACE, [said("torch", RIGHT, About.CAPTURED)], Party.EITHER, "it is not torch.jit.trace"),
        # No exporter, or no model of ours.
        (HALF, Way(["onnx"], ""), [said("openvino", HALF, agrees=True)], Party.REFERENCE, "Nothing was exported"),
        (HALF, Way(["state-dict"], "state-dict", exports=False), [], Party.CASE, "the case's own code"),
        (
            Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT, "no GPU"),
            ONNX,
            [],
            Party.INSTALLATION,
            "ort can't run on this machine, so that nothing is known of the model: no GPU",
        ),
        (PASS, ONNX, [], Party.NOBODY, "does not fail on this machine now"),
    ],
)
def test_whom_it_concerns(own: Outcome, way: Way, opinions: list[Opinion], party: Party, words: str) -> None:
    name = way.through[0]
    found = concern.of(own, cell(name, {"mnn": "mnn", "torchscript-trace": "torch"}.get(name, "ort")), way, opinions)
    assert (found.party, words in found.why) == (party, True), found


def test_the_exporter_that_keeps_what_an_input_set_decided_is_said_to() -> None:
    opinions = [said("openvino", HALF, agrees=True, specialised=True)]
    assert concern.of(HALF, cell(), ONNX, opinions).specialised
    assert not concern.of(HALF, cell(), ONNX, [said("openvino", HALF, agrees=True)]).specialised


@pytest.mark.parametrize(
    ("failed", "party", "words"),
    [
        ("onnx", Party.EXPORTER, "The export to the format onnx fails"),
        ("mnn", Party.CONVERTER, "The export to the format onnx succeeds, and its conversion to mnn fails"),
    ],
)
def test_a_failing_export_is_the_exporters_or_the_converters(failed: str, party: Party, words: str) -> None:
    found = concern.at_export(MNN, failed)
    assert (found.party, words in found.why) == (party, True)


def test_a_model_that_is_not_stored_has_no_exporter() -> None:
    found = concern.of(WRONG, cell("module", "torch-compile"), Way(["module"], "", stored=False), [])
    assert (found.party, found.why) == (
        Party.RUNTIME,
        "Nothing was exported: torch-compile is given the model itself.",
    )


def test_a_file_that_the_checker_refuses_is_its_writers_fault() -> None:
    right = [said("onnx-reference", PASS), said("openvino", PASS)]
    found = concern.of(UNLOADED, cell(), ONNX, right, "indices must be int64")
    assert (found.party, found.why) == (
        Party.EXPORTER,
        "ONNX's own checker refuses the file: indices must be int64. onnx-reference and openvino run it all the same.",
    )
    own = concern.of(UNLOADED, cell(), Way(["onnx"], ""), [], "indices must be int64")
    assert (own.party, own.why.endswith("The case's model is this file.")) == (Party.CASE, True)
    # Of a converted file: where its source is right, the converter wrote what is invalid.
    converted = Way(["onnx-int8", "onnx"], "torch.export")
    source = [said("ort", PASS, About.SOURCE)]
    for way in (converted, Way(["onnx-int8", "onnx"], "")):
        assert concern.of(UNLOADED, cell("onnx-int8"), way, source, "no int8").party is Party.CONVERTER
