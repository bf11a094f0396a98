"""docs/cpp.md, executed: its files are written, its commands run, and what it says they print is what they print.

And the engine of docs/adding-a-runtime.md, which compiles against the harness.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_modelconform.building import harness, tools
from pytest_modelconform.cache.store import default_folder
from tests.support import documents
from tests.support.documents import REPOSITORY

BLOCKS = documents.blocks(REPOSITORY / "docs/cpp.md")
# The user's own, in which library and headers are; conftest.py gives each test another.
CACHE = default_folder()
pytestmark = pytest.mark.compiles
NUMBER = re.compile(r"\d+\.\d+")
MOST_LINES = 32  # "a program of about 30 lines"


def shell(text: str, folder: Path) -> str:
    """Run commands as in a shell in which the package is installed, and return what they print to stdout."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    command = bin_folder / "modelconform"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m pytest_modelconform "$@"\n')
    command.chmod(0o755)
    folders = {str(Path(tool).parent) for name in ("cmake", "ninja") if (tool := tools.tool(name))}
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(bin_folder), *sorted(folders), os.environ["PATH"]]),
        "PYTHONPATH": str(REPOSITORY),
        "MODELCONFORM_CACHE": str(CACHE),
        "CMAKE_GENERATOR": "Ninja",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.skipif(harness.unavailable("ort") is not None, reason=str(harness.unavailable("ort")))
def test_the_document_does_what_it_says(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "cases" / "plain", tmp_path / "cases" / "plain")
    # The page's second model is the worked case of another one.
    (tmp_path / "towers.py").write_text(documents.blocks(REPOSITORY / "docs/writing-cases.md")[0].text)
    for block in BLOCKS:
        if block.file is not None:
            path = tmp_path / block.file
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)
    commands = [block.text for block in BLOCKS if block.kind == "sh"]
    printed = [line for text in commands for line in shell(text, tmp_path).splitlines()]
    promised = "".join(block.text for block in BLOCKS if block.kind == "text").splitlines()
    assert len(promised) == 8  # two input sets in four programs
    for said, line in zip(promised, printed[-len(promised) :], strict=True):
        # Bits differ by processor; the words don't, and neither does much of the numbers.
        assert NUMBER.sub("N", line) == NUMBER.sub("N", said)
        for one, two in zip(NUMBER.findall(line), NUMBER.findall(said), strict=True):
            assert abs(float(one) - float(two)) < 2.0, (line, said)


def test_programs_are_short() -> None:
    programs = [block for block in BLOCKS if block.kind == "cpp"]
    assert [block.file for block in programs] == [
        f"server/{name}.cpp" for name in ("torchscript", "aoti", "onnx", "towers")
    ]
    for block in programs:
        lines = [line for line in block.text.splitlines() if line.strip() and not line.startswith("#include")]
        assert len(lines) <= MOST_LINES, block.file


def test_every_block_is_used() -> None:
    for block in BLOCKS:
        assert block.file is not None or block.kind in ("sh", "text"), block.where


# What the page's engine takes for granted: a library with this header.
MINE = """\
#pragma once
#include <string>
#include <vector>

namespace mine {
struct Graph {
  Graph(const std::string& file, int threads);
  std::vector<std::string> inputs() const;
};
std::string version();
}  // namespace mine
"""


def test_the_engine_on_the_page_compiles(tmp_path: Path) -> None:
    [block] = [b for b in documents.blocks(REPOSITORY / "docs/adding-a-runtime.md") if b.kind == "cpp"]
    assert block.file is not None
    source = tmp_path / block.file
    source.parent.mkdir(parents=True)
    source.write_text(block.text)
    for folder in ("harness", "library"):
        (tmp_path / "cpp" / folder).symlink_to(REPOSITORY / "cpp" / folder)
    (tmp_path / "mine.h").write_text(MINE)
    compiler = tools.compiler()
    if compiler is None:
        pytest.skip("no C++ compiler")
    command = [*compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Werror", f"-I{tmp_path}", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
