"""ONNX Runtime's headers: where they are looked for, and what is said where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.building import harness, ort_headers
from pytest_modelconform.cache.made_once import BuildError


def headers(folder: Path, api: int) -> Path:
    folder.mkdir(parents=True)
    (folder / "onnxruntime_cxx_api.h").touch()
    (folder / "onnxruntime_c_api.h").write_text(f"#define ORT_API_VERSION {api}\n")
    return folder


def test_headers_are_taken_from_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = headers(tmp_path / "root" / "include", 20)
    monkeypatch.setenv("ONNXRUNTIME_ROOT", str(tmp_path / "root"))
    assert ort_headers.obstacle() is None
    assert ort_headers.find("1.20.1", tmp_path, lambda line: None) == own


def test_headers_newer_than_the_library_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    headers(tmp_path / "root" / "include", 33)
    monkeypatch.setenv("ONNXRUNTIME_ROOT", str(tmp_path / "root"))
    fetched = headers(tmp_path / "onnxruntime-headers-1.32.0", 21)
    assert ort_headers.find("1.32.0", tmp_path, lambda line: None) == fetched


def test_headers_that_cannot_be_had_say_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(version: str, scratch: Path) -> Path:
        """A place that has none:"""
        raise LookupError("it is closed.")

    monkeypatch.setattr(ort_headers, "_on_this_machine", lambda: iter(()))
    monkeypatch.setattr(ort_headers, "_from_debian", refuse)
    monkeypatch.setattr(ort_headers, "_from_release", refuse)
    with pytest.raises(LookupError, match=r"set ONNXRUNTIME_ROOT to .*\nA place that has none: it is closed"):
        ort_headers.find("1.32.0", tmp_path, lambda line: None)
    with pytest.raises(BuildError, match="the ort harness can't be built: ONNX Runtime's C\\+\\+ headers are not"):
        harness.executable("ort", tmp_path, lambda line: None)
    assert not harness.is_built("ort", tmp_path)  # and nothing was fetched to find out


DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""
ONE_LINE = """\
deb [signed-by=/k.gpg arch=amd64] http://mirror.example/debian bookworm main contrib
deb http://mirror.example/debian-security bookworm-security main
deb-src http://mirror.example/debian bookworm main
"""


def test_the_machines_own_mirror_is_asked_for_the_suite_with_the_headers(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d" / "off.list.disabled").write_text(ONE_LINE)
    (tmp_path / "sources.list").write_text(ONE_LINE)
    sources = ort_headers._sources_of_suite(tmp_path, "bookworm")
    assert set(sources) == {"sources.list", "debian.sources"}
    assert sources["sources.list"] == (
        "deb [signed-by=/k.gpg arch=amd64] http://mirror.example/debian trixie main contrib\n"
    )
    assert sources["debian.sources"].splitlines() == [
        "# a comment",
        "Types: deb",
        "URIs: http://mirror.example/debian",
        "Suites: trixie",
        "Components: main",
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg",
    ]
