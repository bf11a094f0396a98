"""A .pt2 file that can't be read says why: torch.export.load only logs that."""

from __future__ import annotations

import json
import logging
import zipfile
from pathlib import Path

import pytest
import torch

from pytest_modelconform.workers.python import program_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(torch.nn.ReLU(), (torch.ones(2),)), path)
    return path


def test_a_sound_file_is_read(file: Path) -> None:
    assert torch.equal(program_file.read(str(file)).module()(torch.tensor([-1.0, 2.0])), torch.tensor([0.0, 2.0]))


def test_the_reason_is_the_message(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    [model] = [name for name in parts if name.endswith("models/model.json")]
    content = json.loads(parts[model])
    content["schema_version"]["major"] += 1
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in {**parts, model: json.dumps(content).encode()}.items():
            archive.writestr(name, data)
    handlers = list(logging.getLogger("torch.export").handlers)
    with pytest.raises(RuntimeError, match=r"^torch\.export\.load can't read it: Serialized schema version") as caught:
        program_file.read(str(file))
    assert "\n" not in str(caught.value)
    assert logging.getLogger("torch.export").handlers == handlers


def test_what_says_why_itself_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        program_file.read(str(tmp_path / "none.pt2"))
