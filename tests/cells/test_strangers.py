"""Models as strangers bring them, in real runtimes: no false alarm, no needless refusal, what is wrong stays red."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import runs
from tests.support.fakes import REPOSITORY
from tests.support.runs import Run

pytestmark = pytest.mark.compiles
CASES = (REPOSITORY / "tests" / "support" / "strangers.py").read_text()
SMALL = ("totals", "flags", "quotient", "sometimes_points", "detector", "roi_head")


def project(folder: Path) -> Path:
    return runs.write(folder, {"strangers.py": CASES})


@pytest.fixture
def seen(session_folder: Path) -> Run:
    def make(folder: Path) -> Run:
        cells = [f"strangers.py::{name}" for name in SMALL]
        options = ("--modelconform-formats=torchscript-trace,onnx-legacy,export", "--modelconform-threads=0")
        return runs.run(project(folder), *options, *cells, runtimes="torch,ort,openvino", seconds=900)

    return runs.once(session_folder, "strangers", make)


PAIRS = ("torchscript_trace-torch", "onnx_legacy-ort", "onnx_legacy-openvino", "export-torch")


@pytest.mark.parametrize("case", ["totals", "flags", "quotient", "roi_head"])
def test_healthy_models_are_judged_and_pass(seen: Run, case: str) -> None:
    assert seen.verdict(f"{case}[eager]") == ("pass", None)
    found = {pair: seen.verdict(f"{case}[{pair}-cpu]")[0] for pair in PAIRS}
    if case == "roi_head":
        # torch.export has no operator of torchvision's for boxes of a number that isn't known.
        del found["export-torch"]
        # OpenVINO makes NaN of an empty box (docs/findings.md). With all others it is right.
        assert found.pop("onnx_legacy-openvino") == "mismatch"
        inputs = seen.cells["roi_head[onnx_legacy-openvino-cpu]"]["inputs"]
        assert [name for name, entry in inputs.items() if entry["verdict"] != "pass"] == ["auto-zeros"]
    assert set(found.values()) == {"pass"}


def test_what_a_case_cannot_see_is_a_note_and_in_its_record(seen: Run) -> None:
    check = seen.cells["flags[eager]"]
    assert check["sees"] == {"seen": 1, "outputs": 4}
    [note] = [note for note in check["notes"] if note.startswith("sees ")]
    assert note.startswith(
        "sees 1 of 4 outputs: output['overflow'] is False everywhere, output['steps'] is 4 everywhere"
    )
    assert note in seen.stdout.replace("\n", " ") or "sees 1 of 4 outputs" in seen.stdout
    assert "output[1] is 0 everywhere in 'small'" in seen.message("quotient[eager]")
    assert seen.cells["quotient[eager]"]["sees"] == {"seen": 2, "outputs": 2}


def test_means_of_positive_numbers_are_no_factor(seen: Run) -> None:
    for pair in PAIRS:
        cell = seen.cells[f"sometimes_points[{pair}-cpu]"]
        assert cell["inputs"]["with"]["verdict"] == "pass"
        assert cell["hints"] == []


def test_a_loop_that_was_unrolled_is_seen_though_a_count_is_constant(seen: Run) -> None:
    assert seen.verdict("detector[eager]") == ("pass", None)
    for pair in ("torchscript_trace-torch", "onnx_legacy-ort", "onnx_legacy-openvino"):
        cell = seen.cells[f"detector[{pair}-cpu]"]
        assert cell["verdict"] == "mismatch", seen.stdout
        assert cell["inputs"]["two"]["verdict"] == "pass"
        assert cell["inputs"]["three"]["verdict"] == "mismatch"


def test_weight_norm_of_a_vector_is_wrong_in_a_package(tmp_path: Path) -> None:
    """pytorch/pytorch#191749."""
    options = ("--modelconform-formats=aoti", "--modelconform-threads=0", "strangers.py::gain")
    found = runs.run(project(tmp_path), *options, runtimes="torch", seconds=600)
    assert found.verdict("gain[eager]") == ("pass", None)
    assert found.verdict("gain[aoti-torch-cpu]") == ("mismatch", "compare"), found.stdout


@pytest.mark.installs
def test_plain_sums_of_terms_that_cancel_are_faithful(tmp_path: Path) -> None:
    """XNNPACK adds from left to right; eager's blocks happen to be 4 bits better there. And MNN's Swin is garbage.

    In LiteRT, since ExecuTorch has the same kernels and exports for minutes.
    """
    right, wrong = "shufflenet[litert-litert-cpu]", "swin[mnn-mnn-cpu]"
    options = ("--modelconform-formats=litert,mnn", "--modelconform-threads=0")
    # Not each in each: exporting a Swin to LiteRT takes minutes.
    cells = [f"strangers.py::{name}" for name in (right, wrong)]
    found = runs.run(project(tmp_path), *options, *cells, runtimes="litert,mnn", seconds=1800)
    cell = found.cells[right]
    assert cell["verdict"] in ("pass", "unavailable"), cell["message"]
    swin = found.cells[wrong]
    assert swin["verdict"] in ("mismatch", "unavailable"), swin["message"]
