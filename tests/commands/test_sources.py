"""`modelconform new --from`: what sources draft runs, what was tried is written, the rest is refused in words."""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.commands import new
from pytest_modelconform.commands.new import sources, trial
from tests.support import runs

needs_torchvision = pytest.mark.skipif(
    importlib.util.find_spec("torchvision") is None, reason="torchvision is not installed"
)
needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="transformers is not installed"
)
ROOT = Path(__file__).parents[2]


def command(folder: Path, *words: str) -> int:
    parser = argparse.ArgumentParser()
    new.add_arguments(parser)
    return new.run(parser.parse_args([*words, "--folder", str(folder)]))


def run_eagerly(text: str) -> Any:
    """The case of a text, whose model has run with each of its input sets."""
    import torch

    names: dict[str, Any] = {"__name__": "drafted"}
    exec(text, names)
    case = names["case"]
    model = case.model().eval()
    for make in case.inputs.values():
        inputs = make()
        with torch.no_grad():
            returned = model(**inputs) if isinstance(inputs, dict) else model(*inputs)
        tensors = [returned] if isinstance(returned, torch.Tensor) else list(returned)
        assert all(tensor.isfinite().all() for tensor in tensors)
    return case


def assert_formatted(text: str) -> None:
    if (ruff := shutil.which("ruff", path=str(Path(sys.executable).parent))) is None:
        pytest.skip("ruff is not installed")
    for words in (["format", "--diff"], ["check"]):
        done = subprocess.run(
            [ruff, *words, "--config", str(ROOT / "pyproject.toml"), "--stdin-filename", "cases/net.py", "-"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@needs_torchvision
@pytest.mark.parametrize(
    ("model", "expression", "shape"),
    [
        ("squeezenet1_1", "models.squeezenet1_1(weights=None)", "3, 64, 64"),
        ("efficientnet_v2_s", "models.efficientnet_v2_s(weights=None)", "3, 96, 96"),
        ("vit_b_32", "models.vit_b_32(weights=None)", "3, 224, 224"),
        ("googlenet", "models.googlenet(weights=None, aux_logits=False, init_weights=False)", "3, 64, 64"),
        ("quantized_resnet18", "models.quantization.resnet18(weights=None)", "3, 64, 64"),
        (
            "lraspp_mobilenet_v3_large",
            "models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None)",
            "3, 64, 64",
        ),
        ("r3d_18", "models.video.r3d_18(weights=None)", "3, 4, 64, 64"),
    ],
)
def test_a_draft_of_torchvision(model: str, expression: str, shape: str) -> None:
    varied, fixed = sources.drafts(f"torchvision:{model}")[:2]
    size = shape.rpartition(" ")[2]
    axis = shape.count(",")
    free = f'SIZES = {{0: "batch", {axis}: Dim("height", min={size}), {axis + 1}: Dim("width", min={size})}}\n'
    assert f"\n{free}" in varied
    assert "    dynamic_shapes=(SIZES,),\n" in varied
    assert f'"three_wider": lambda: (torch.randn(3, {shape.rpartition(" ")[0]} {int(size) + 32}),),\n' in varied
    assert '    dynamic_shapes=({0: "batch"},),\n' in fixed
    assert f'        "three": lambda: (torch.randn(3, {shape}),),\n' in fixed
    for text in (varied, fixed):
        assert f"    model=lambda: generic_weights({expression}),\n" in text
        assert f'        "pair": lambda: (torch.randn(2, {shape}),),\n' in text
        assert '    requires=("torchvision",),\n' in text
        assert_formatted(text)


@needs_torchvision
def test_two_images_for_optical_flow() -> None:
    varied, fixed = sources.drafts("torchvision:raft_small")
    assert 'SIZES = {0: "batch", 2: 8 * Dim("rows", min=16), 3: 8 * Dim("columns", min=16)}\n' in varied
    assert "dynamic_shapes=(SIZES, SIZES),\n" in varied
    assert '"pair": lambda: (torch.randn(2, 3, 128, 128), torch.randn(2, 3, 128, 128)),' in fixed
    assert 'dynamic_shapes=({0: "batch"}, {0: "batch"}),' in fixed
    assert_formatted(varied)
    assert_formatted(fixed)


@needs_torchvision
def test_a_size_that_the_model_takes_then_the_one_it_was_trained_for() -> None:
    texts = sources.drafts("torchvision:vgg11")
    sizes = [text.partition("torch.randn(2, 3, ")[2].partition(",")[0] for text in texts]
    assert sizes == ["64", "64", "224"]
    assert ["SIZES" in text for text in texts] == [True, False, False]


@pytest.mark.compiles
@needs_torchvision
def test_a_draft_of_torchvision_runs() -> None:
    case = run_eagerly(sources.drafts("torchvision:squeezenet1_1")[0])
    assert [make()[0].shape for make in case.inputs.values()] == [(2, 3, 64, 64), (3, 3, 64, 96)]
    assert {axis: getattr(dim, "min", dim) for axis, dim in case.dynamic_shapes[0].items()} == {
        0: "batch",
        2: 64,
        3: 64,
    }


@pytest.mark.compiles
@needs_torchvision
@pytest.mark.parametrize(
    ("model", "layers"),
    [
        ("fasterrcnn_mobilenet_v3_large_320_fpn", "detector.backbone.fpn.layer_blocks:\n        layer[0].weight"),
        ("ssdlite320_mobilenet_v3_large", "detector.head.classification_head.module_list:\n        layer[1].weight"),
    ],
)
def test_a_detectors_scores_tell_its_boxes_apart(model: str, layers: str) -> None:
    import torch

    (text,) = sources.drafts(f"torchvision:{model}")
    assert f"    for layer in {layers}" in text
    assert_formatted(text)
    names: dict[str, Any] = {"__name__": "drafted"}
    exec(text, names)
    detector = names["case"].model().eval()
    torch.manual_seed(0)
    for make in names["case"].inputs.values():
        with torch.no_grad():
            found = detector(*make())
        assert len(found) == 2
        for image in found:
            scores = image["scores"]
            assert 1 < len(scores) <= 10
            assert scores.max() < 0.9999
            # Proposals that are clipped to the same place tie, but most don't.
            assert len(scores.unique()) > len(scores) / 2


@pytest.mark.compiles
@needs_transformers
@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        ("BertModel", {"input_ids": {0: "batch", 1: "length"}, "attention_mask": {0: "batch", 1: "length"}}),
        ("GPT2LMHeadModel", {"input_ids": {0: "batch", 1: "length"}, "attention_mask": {0: "batch", 1: "length"}}),
        ("ViTModel", {"pixel_values": {0: "batch"}}),
        ("SegformerForSemanticSegmentation", {"pixel_values": {0: "batch", 2: "height", 3: "width"}}),
        ("DetrForObjectDetection", {"pixel_values": {0: "batch", 2: "height", 3: "width"}}),
        ("SamVisionModel", {"pixel_values": {0: "batch"}}),
        ("LlamaForCausalLM", {"input_ids": {0: "batch", 1: "length"}, "attention_mask": {0: "batch", 1: "length"}}),
        ("Mamba2ForCausalLM", {"input_ids": {0: "batch", 1: "length"}, "attention_mask": {0: "batch", 1: "length"}}),
        ("PatchTSTForPrediction", {"past_values": {0: "batch"}}),
        ("WhisperForConditionalGeneration", {"input_features": {0: "batch"}, "decoder_input_ids": {0: "batch"}}),
        ("Wav2Vec2ConformerForCTC", {"input_values": {0: "batch", 1: "samples"}}),
    ],
)
def test_a_draft_of_transformers_runs(model: str, inputs: dict[str, Any]) -> None:
    texts = sources.drafts(f"transformers:{model}")
    for text in texts:
        assert_formatted(text)
    # What takes images of one size only refuses the first draft; its trial finds that out.
    case = run_eagerly(texts[-1] if model in ("ViTModel", "SamVisionModel") else texts[0])
    named = {
        name: {axis: getattr(dim, "__name__", dim) for axis, dim in axes.items()}
        for name, axes in case.dynamic_shapes.items()
    }
    assert named == inputs
    assert sum(parameter.numel() for parameter in case.model().parameters()) < 1_000_000
    assert case.requires == ("transformers",)


@pytest.mark.compiles
@needs_torchvision
def test_what_is_written_passes_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The trial is a run as the one below.
    monkeypatch.setattr(trial, "first_that_passes", lambda name, drafts: (drafts[0], ""))
    assert command(tmp_path, "squeeze", "--from", "torchvision:squeezenet1_1") == 0
    case = tmp_path / "squeeze.py"
    assert capsys.readouterr().out == f"wrote {case}; run: pytest --modelconform {case}\n"
    assert list(tmp_path.iterdir()) == [case]
    runs.write(tmp_path, {})
    run = runs.run(tmp_path, runtimes="torch")
    assert run.status == 0, run.stdout
    assert run.verdict("squeeze[eager]") == ("pass", None)
    assert run.verdict("squeeze[torchscript_trace-torch-cpu]") == ("pass", None)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (
            "torchvison:resnet18",
            "--from torchvison:resnet18: unknown source 'torchvison'. Did you mean 'torchvision'? "
            "Models come from torchvision, transformers, timm, for example --from torchvision:resnet50.\n",
        ),
        ("torchvision", "--from torchvision: name the model, too, for example --from torchvision:resnet50.\n"),
        ("timm:", "--from timm:: name the model, too, for example --from timm:convnext_atto.\n"),
        (
            "resnet18",
            "--from resnet18: name the package, too. "
            "Models come from torchvision, transformers, timm, for example --from torchvision:resnet50.\n",
        ),
        pytest.param(
            "torchvision:resnet81",
            "torchvision has no model 'resnet81'. Did you mean 'resnet18'? See torchvision.models.list_models().\n",
            marks=needs_torchvision,
        ),
        pytest.param(
            "transformers:bertmodel",
            "transformers has no model 'bertmodel'. Did you mean 'BertModel'? "
            "See https://huggingface.co/docs/transformers.\n",
            marks=needs_transformers,
        ),
    ],
)
def test_what_is_not_there(source: str, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(tmp_path, "net", "--from", source) == 2
    assert capsys.readouterr().err == f"modelconform new: {fault}"
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_not_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert command(tmp_path, "net", "--from", "timm:resnet18") == 1
    assert (
        capsys.readouterr().err == "modelconform new: --from timm:resnet18: timm is not installed: pip install timm\n"
    )


def test_no_cpp_with_a_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(tmp_path, "net", "--cpp", "--from", "torchvision:resnet18") == 2
    assert capsys.readouterr().err.endswith(
        "--cpp and --from can't be combined: packages come without a model in C++.\n"
    )


def test_a_name_is_refused_before_anything_is_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.py").write_text("mine")
    assert command(tmp_path, "net", "--from", "no:thing") == 1
    assert "net.py already exists" in capsys.readouterr().err


def fake(monkeypatch: pytest.MonkeyPatch, drafts: list[str]) -> None:
    """Let `--from` have these drafts, whatever it names."""
    monkeypatch.setattr(sources, "drafts", lambda source: drafts)


def test_the_first_that_also_exports_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(monkeypatch, ["broken", "eager alone", "both"])
    verdicts = {"broken": ("error: no", ""), "eager alone": ("", "error at stage export: no"), "both": ("", "")}
    monkeypatch.setattr(trial, "_verdicts", lambda name, text: verdicts[text])
    assert command(tmp_path, "net", "--from", "a:b") == 0
    assert (tmp_path / "net.py").read_text() == "both"
    fake(monkeypatch, ["broken", "eager alone"])
    assert command(tmp_path, "other", "--from", "a:b") == 0
    assert (tmp_path / "other.py").read_text() == "eager alone"
    assert "note: torch.export can't export this model: error at stage export: no\n" in capsys.readouterr().out


@pytest.mark.compiles
def test_a_trial() -> None:
    assert trial.first_that_passes("net", [runs.PLAIN]) == (runs.PLAIN, "")


@pytest.mark.compiles
def test_a_model_that_fails_its_check_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(monkeypatch, [runs.PLAIN.replace("* self.weight + 1.0", "* 0.0")])
    assert command(tmp_path, "net", "--from", "a:b") == 1
    err = capsys.readouterr().err
    said = (
        "modelconform new: --from a:b: nothing was written, because the model check fails: error at stage reference: "
    )
    assert err.startswith(said)
    assert err.endswith("Begin with `modelconform new net` instead, and put the model and its inputs there.\n")
    assert list(tmp_path.iterdir()) == []
