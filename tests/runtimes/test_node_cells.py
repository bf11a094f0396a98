"""Cells of the runtimes in JavaScript, from the command line to the verdict."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from pytest_modelconform.runtimes import node
from tests.support import javascript, runs, shared

pytestmark = pytest.mark.installs

RUNTIMES = ("ort-node", "ort-wasm", "ort-web", "ort-webgpu")


def cell(runtime: str) -> str:
    return f"plain[onnx-{runtime.replace('-', '_')}-cpu]"


@pytest.fixture
def own_cache(tmp_path: Path) -> Path:
    """A cache of this test's, with the environment in it."""
    javascript.environment()
    return shared.cache_in(tmp_path)


def test_they_pass_and_see_another_weight(tmp_path: Path, own_cache: Path) -> None:
    # Another weight than the smoke model's, by which its artifact is found below.
    folder = runs.write(tmp_path / "project", {"plain.py": runs.PLAIN.replace("[3.0]", "[5.0]")})
    arguments = ("--modelconform-formats=onnx", "plain.py")
    env = {"MODELCONFORM_CACHE": str(own_cache)}
    first = runs.run(folder, *arguments, runtimes=",".join(RUNTIMES), env=env)
    assert {runtime: first.verdict(cell(runtime)) for runtime in RUNTIMES} == dict.fromkeys(RUNTIMES, ("pass", None))

    # y = 5x + 1 becomes 5.001x + 1, behind the cache's back.
    tampered = 0
    for path in (own_cache / "artifacts").glob("*/model.onnx"):
        model = onnx.load(path)
        for tensor in model.graph.initializer:
            value = numpy_helper.to_array(tensor)
            if value.tolist() == [5.0]:
                tensor.CopyFrom(numpy_helper.from_array(value * np.float32(1.0002), tensor.name))
                tampered += 1
                # Said to be a fresh host's: others are exported again before they fail a cell.
                made = path.with_name("export.json")
                made.write_text(json.dumps({**json.loads(made.read_text()), "fresh": True}))
        onnx.save(model, path)
    assert tampered == 1
    second = runs.run(folder, *arguments, runtimes=",".join(RUNTIMES), env=env)
    for runtime in RUNTIMES:
        assert second.verdict(cell(runtime)) == ("mismatch", "compare"), runtime


@pytest.mark.skipif(not shutil.which("chromium"), reason="wraps the Chromium on PATH")
def test_a_browser_without_webgpu_is_unavailable_and_says_why(tmp_path: Path, own_cache: Path) -> None:
    browser = tmp_path / "browser"
    flags = "--disable-gpu --disable-software-rasterizer --use-webgpu-adapter=default"
    browser.write_text(f'#!/bin/sh\nexec chromium "$@" {flags}\n')
    browser.chmod(0o755)
    folder = runs.write(tmp_path / "project", {"plain.py": runs.PLAIN})
    env = {"MODELCONFORM_CACHE": str(own_cache), node.CHROMIUM: str(browser)}
    arguments = ("--modelconform-formats=onnx", "plain.py")
    made = runs.run(folder, *arguments, runtimes="ort-webgpu", env=env)
    assert made.verdict(cell("ort-webgpu")) == ("unavailable", "environment")
    assert made.message(cell("ort-webgpu")).startswith("WebGPU has no adapter (Chromium ")
    assert made.status == 0
    required = runs.run(folder, *arguments, "--modelconform-require=ort-webgpu", runtimes="ort-webgpu", env=env)
    assert required.status == 1
