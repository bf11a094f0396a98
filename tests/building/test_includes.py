"""Which files a C++ source consists of."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.building.includes import UnknownInclude, local_files


def test_includes_in_quotes_are_followed(tmp_path: Path) -> None:
    folder = tmp_path.resolve()
    (folder / "parts").mkdir()
    source = folder / "net.cpp"
    source.write_text('#include <torch/torch.h>\n#include "parts/block.h"\n  #  include "missing.h"\nint x;\n')
    (folder / "parts" / "block.h").write_text('#pragma once\n#include "../net.cpp"\n#include "more.h"\n')
    (folder / "parts" / "more.h").write_text("")
    names = ["net.cpp", "parts/block.h", "missing.h", "parts/more.h"]
    assert local_files(source) == [folder / name for name in names]


def test_an_include_of_a_macro_is_refused(tmp_path: Path) -> None:
    source = tmp_path.resolve() / "net.cpp"
    source.write_text("int x;\n#include BLOCKS\n")
    with pytest.raises(UnknownInclude) as caught:
        local_files(source)
    assert str(caught.value) == f"{source}:2: #include of the macro BLOCKS: write the file's name in quotes"
