"""The format aoti: what a package's signature says, what is left behind, and what a missing compiler comes to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_modelconform.formats import aoti
from tests.support import aoti_package, runs

pytestmark = pytest.mark.compiles


@pytest.fixture(scope="module")
def artifact(session_folder: Path) -> Path:
    return aoti_package.make(session_folder) / "artifact"


def test_a_package_takes_the_calls_tensors_in_order(artifact: Path) -> None:
    signature = json.loads((artifact / "signature.json").read_text())
    assert (signature["format"], signature["file"], signature["layout"]) == ("aoti", "model.pt2", "flat")
    taken = {value["path"]: value["shape"] for value in signature["inputs"]}
    assert list(taken) == ["/kwargs/fixed", "/kwargs/free", "/kwargs/unused", "/kwargs/boxes"]
    assert taken["/kwargs/fixed"] == [2, 3]
    assert taken["/kwargs/free"] == ["length", 3]
    assert signature["dropped"] == []
    assert signature["operators"] == ["torchvision"]


def test_a_package_returns_the_results_leaves_by_their_places(artifact: Path) -> None:
    signature = json.loads((artifact / "signature.json").read_text())
    # The second one is None.
    assert {value["name"]: value["path"] for value in signature["outputs"]} == {
        "0": "/y", "2": "/pair/0", "3": "/pair/1", "4": "/steps", "5": "/n", "6": "/kept", "7": "/turned",
    }  # fmt: skip


def test_what_models_do_not_share_is_gone(artifact: Path) -> None:
    assert sorted(path.name for path in artifact.iterdir()) == ["model.pt2", "signature.json"]
    headers = aoti_package.CACHE / "inductor" / "precompiled_headers"
    assert len(list(headers.glob("*.gch"))) >= 2
    # Nor is anything of the model in what is kept.
    # Another process may be making one at this moment.
    wrappers = (aoti_package.CACHE / "inductor").rglob
    runs.wait_until(lambda: not list(wrappers("*.wrapper.*")), 300, "a package's wrapper is there")


def test_caches_are_put_back_where_an_export_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    from torch._inductor import codecache, cpu_vec_isa

    monkeypatch.setattr(cpu_vec_isa, "pick_vec_isa", lambda: None)
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    default = codecache._HEADER_DIR
    folder = tmp_path / "inductor"

    def fail() -> None:
        with aoti.own_caches(folder):
            folder.mkdir()
            # Nobody named a folder that is kept, so the headers are not kept, either.
            assert Path(codecache._HEADER_DIR) == folder / "precompiled_headers"
            assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(folder)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    assert not folder.exists()
    assert default == codecache._HEADER_DIR
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ


def test_a_compiler_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert aoti.unavailable() is None
    monkeypatch.setenv("CXX", "no-such-compiler")
    sentence = aoti.unavailable() or ""
    assert sentence.startswith("needs a C++ compiler ($CXX, no-such-compiler, isn't found): ")
    assert "install" in sentence
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (aoti.unavailable() or "").startswith("needs a C++ compiler: ")


def test_other_compilers_make_other_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, version in (("one", "1.0"), ("two", "2.0")):
        compiler = tmp_path / name
        compiler.write_text(f"#!/bin/sh\necho {version}\n")
        compiler.chmod(0o755)
        monkeypatch.setenv("CXX", f"{compiler} -m64")
        aoti.tools.cache_clear()
        assert aoti.tools() == f"{compiler} -m64 {version}\n"
    monkeypatch.setenv("CXX", "no-such-compiler")
    aoti.tools.cache_clear()
    assert aoti.tools() == ""
    aoti.tools.cache_clear()


def test_without_a_compiler_its_cells_are_unavailable(project: Path) -> None:
    run = runs.run(
        project, "--modelconform-formats=aoti", "plain.py", runtimes="torch", env={"CXX": "no-such-compiler"}
    )
    assert run.verdict("plain[aoti-torch-cpu]") == ("unavailable", "environment")
    assert run.message("plain[aoti-torch-cpu]").startswith("format aoti needs a C++ compiler ($CXX, no-such-compiler,")
