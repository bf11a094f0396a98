"""Which files a C++ source consists of."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.building.includes import UnknownInclude, local_files, paths


def test_includes_in_quotes_are_followed(tmp_path: Path) -> None:
    folder = tmp_path.resolve()
    (folder / "parts").mkdir()
    source = folder / "net.cpp"
    source.write_text('#include <torch/torch.h>\n#include "parts/block.h"\n  #  include "missing.h"\nint x;\n')
    (folder / "parts" / "block.h").write_text('#pragma once\n#include "../net.cpp"\n#include "more.h"\n')
    (folder / "parts" / "more.h").write_text("")
    names = ["net.cpp", "parts/block.h", "missing.h", "parts/more.h"]
    assert local_files(source) == [folder / name for name in names]
    assert paths(source) == {str(folder / name) for name in names}


def test_links_are_named_beside_what_they_point_at(tmp_path: Path) -> None:
    folder = tmp_path.resolve()
    (folder / "first").mkdir()
    (folder / "first" / "net.cpp").write_text('#include "net.h"\n#include "parts/block.h"\n')
    (folder / "first" / "net.h").write_text("")
    (folder / "blocks").mkdir()
    (folder / "blocks" / "block.h").write_text("")
    (folder / "first" / "parts").symlink_to(folder / "blocks")
    (folder / "net.cpp").symlink_to(folder / "first" / "net.cpp")
    (folder / "used").symlink_to(folder / "first")
    files = {str(folder / name) for name in ("first/net.cpp", "first/net.h", "blocks/block.h")}
    assert {str(file) for file in local_files(folder / "used" / "net.cpp")} == files
    links = {str(folder / "used" / name) for name in ("net.cpp", "net.h", "parts/block.h")}
    assert paths(folder / "used" / "net.cpp") == files | links
    assert str(folder / "net.cpp") in paths(folder / "net.cpp")


def test_an_include_of_a_macro_is_refused(tmp_path: Path) -> None:
    source = tmp_path.resolve() / "net.cpp"
    source.write_text("int x;\n#include BLOCKS\n")
    with pytest.raises(UnknownInclude) as caught:
        local_files(source)
    assert str(caught.value) == f"{source}:2: #include of the macro BLOCKS: write the file's name in quotes"
