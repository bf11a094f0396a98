"""The readers of tensor files, in Python, C++ and JavaScript: all take the same files, and find the same in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.workers import tensors
from tests.building.talking import Worker
from tests.building.test_harness_threads import echo_worker
from tests.support import javascript, tensor_files

pytestmark = pytest.mark.compiles


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A harness that returns what it is given."""
    folder = tmp_path_factory.mktemp("echo")
    worker = echo_worker(folder)
    (folder / "model.txt").touch()
    worker.get("load", model=str(folder / "model.txt"))
    yield worker
    worker.process.kill()
    worker.process.communicate()


@pytest.fixture(scope="module")
def javascript_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[javascript.Worker]:
    """The same in JavaScript."""
    worker = javascript.Worker(javascript.echo(), tmp_path_factory.mktemp("echo"))
    worker.get("load", model="echo")
    yield worker
    worker.end()


def in_python(path: Path) -> dict[str, tensors.Tensor] | None:
    try:
        return tensors.read(str(path))
    except tensors.TensorFileError:
        return None


def in_cpp(worker: Worker, path: Path, keys: list[str]) -> dict[str, Any] | None:
    outputs = path.with_suffix(".out")
    request = {"inputs": str(path), "outputs": str(outputs), "args": tensor_files.trees(keys), "kwargs": []}
    answer = worker.ask("run", **request)
    if answer["ok"]:
        items = answer["runs"][0]["outputs"]["tuple"]
        found = tensors.read(str(outputs))
        return {key: found[item["tensor"]] for key, item in zip(keys, items, strict=True)}
    assert answer["error"]["type"] == "TensorFileError", answer
    assert answer["error"]["message"].startswith(f"tensor file {path}: ")
    return None


def in_javascript(worker: javascript.Worker, path: Path, keys: list[str]) -> dict[str, Any] | None:
    outputs = path.with_suffix(".out")
    names = [str(number) for number in range(len(keys))]
    request = {"inputs": str(path), "outputs": str(outputs), "repeats": 1}
    answer = worker.ask("run", **request, feeds=list(zip(names, keys, strict=True)), fetches=names)
    if answer["ok"]:
        found = tensors.read(str(outputs))
        return {key: found[f"0/{name}"] for name, key in zip(names, keys, strict=True)}
    assert answer["error"]["type"] == "TensorFileError", answer
    assert answer["error"]["message"].startswith(f"tensor file {path}: ")
    return None


def content(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """With the bytes themselves; an order that changes nothing is none."""
    if found is None:
        return None
    return {key: tensor._replace(data=bytes(tensor.data), order=tensor.order or None) for key, tensor in found.items()}


@pytest.mark.parametrize("name", tensor_files.ALL)
def test_readers_agree(name: str, worker: Worker, javascript_worker: javascript.Worker, tmp_path: Path) -> None:
    data, right = tensor_files.ALL[name]
    path = tmp_path / "x"
    path.write_bytes(data)
    python = in_python(path)
    assert (python is not None) == right
    assert content(in_cpp(worker, path, list(python or {}))) == content(python)
    assert content(in_javascript(javascript_worker, path, list(python or {}))) == content(python)
