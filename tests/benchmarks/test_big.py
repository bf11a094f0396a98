"""The case that benchmarks/big.py writes is as large as it says, and peaks are those of processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.big import forget_peak, peak, write_case
from pytest_modelconform.workers.host.cases import find, import_file
from pytest_modelconform.workers.host.large import size_of


def test_the_size_of_a_case(tmp_path: Path) -> None:
    file, size = write_case(tmp_path, 3e9, layers=12)
    assert size == pytest.approx(3e9, rel=0.05)
    case = find(import_file(str(file), file.name), str(file))["big"]
    with torch.device("meta"):
        assert size_of(case.model()) == size
    assert (tmp_path / str(case.cpp)).is_file()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_peaks() -> None:
    block = bytearray(200 * 2**20)
    before = peak(os.getpid())
    assert before > len(block)
    del block
    forget_peak(os.getpid())
    assert 0 < peak(os.getpid()) < before
    assert peak(2**22 + 1) == 0
