"""When an artifact of the cache counts, by the packages and files that it was made with."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

import pytest

from pytest_modelconform.cache.fingerprint import hash_file
from pytest_modelconform.cache.store import Cache
from pytest_modelconform.cells.case_host import Exports
from pytest_modelconform.cells.columns import Columns
from pytest_modelconform.cells.pool import Pool
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.stages import Artifact, Budget, StageFailure
from pytest_modelconform.cells.turns import Turns
from pytest_modelconform.cells.worker import InlineWorker
from pytest_modelconform.formats.base import tree_signature
from pytest_modelconform.references.prepared import Prepared
from pytest_modelconform.terms.cell import CaseRef, Cell
from pytest_modelconform.terms.gpus import Gpu, Portion
from pytest_modelconform.workers import lookups
from pytest_modelconform.workers.loop import WorkerError

CELL = Cell("a.py", "a", "torchscript-trace", "torch", "cpu")


def artifact(folder: Path, packages: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """The artifact of a case in a session of its own, whose case host says that it was made with these packages."""

    def export(request: Mapping[str, Any]) -> dict[str, Any]:
        signature = {**tree_signature("model.pt"), "format": CELL.format}
        Path(request["folder"], "signature.json").write_text(json.dumps(signature))
        return {"seconds": 1.0, "bytes": 3, "packages": packages}

    registry = Registry()
    register_built_in(registry)
    pool = Pool(registry, folder, [], threads=1, share=1, inline=True, progress=print)
    worker = InlineWorker("case host", {"export": export})
    monkeypatch.setattr(pool, "host_of", lambda name, device: worker)
    monkeypatch.setattr(pool, "prestart", lambda *names: None)
    content: Any = type("Content", (), {"digest": "d", "output_paths": []})()
    prepared = Prepared(content, "key", folder, cached=False)
    exports = Exports(registry, Cache(folder), pool, 10)
    ref = CaseRef(folder / "a.py", "a.py", "a")
    return exports.artifact(ref, prepared, CELL, Budget(10, pool), lambda outcome: False)


def test_one_counts_while_its_packages_are_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = lookups.record()
    assert [artifact(tmp_path, record, monkeypatch).cached for _ in range(2)] == [False, True]
    monkeypatch.setattr(lookups, "unchanged", lambda found: False)
    assert not artifact(tmp_path, record, monkeypatch).cached


def test_what_is_installed_during_an_export_is_for_the_next_run_to_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A record that never holds: the artifact of this run counts in it all the same.
    assert [artifact(tmp_path, {}, monkeypatch).cached for _ in range(2)] == [False, False]


class Shipped:
    """Sessions with a case whose column `onnx` is a file of its own, which `onnx-fp16` is converted from."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        self.file = folder / "shipped.onnx"
        self.packages: Mapping[str, Any] = lookups.record()
        self.refuses = False
        (folder / "a.py").touch()
        self.ref = CaseRef(folder / "a.py", "a.py", "a", own=("onnx",))
        content: Any = type("Content", (), {"digest": "d", "output_paths": []})()
        self.prepared = Prepared(content, "key", folder, cached=False)

    def session(self) -> Exports:
        registry = Registry()
        register_built_in(registry)
        pool = Pool(registry, self.folder, [], threads=1, share=1, inline=True, progress=print)
        worker = InlineWorker("case host", {"export": self.export, "convert": self.convert}, raises=False)
        self.monkeypatch.setattr(pool, "host_of", lambda name, device: worker)
        self.monkeypatch.setattr(pool, "converter", lambda name: worker)
        self.monkeypatch.setattr(pool, "prestart", lambda *names: None)
        exports = Exports(registry, Cache(self.folder), pool, 10)
        self.monkeypatch.setattr(exports, "_known", lambda ref: self.prepared)
        return exports

    def artifact(self, name: str) -> Artifact:
        exports = self.session()
        cell = Cell("a.py", "a", name, "ort", "cpu")
        return exports.artifact(self.ref, self.prepared, cell, Budget(10, exports.pool), lambda outcome: False)

    def made_of(self, name: str) -> str:
        return self.session().made_of(self.ref, Cell("a.py", "a", name, "ort", "cpu"), ("onnx",))

    def export(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self.refuses:
            raise WorkerError("the file can't be read", "export")
        target = Path(request["folder"])
        (target / "model.onnx").write_text(self.file.read_text())
        signature = {**tree_signature("model.onnx"), "format": "onnx"}
        (target / "signature.json").write_text(json.dumps(signature))
        return {"seconds": 1.0, "bytes": 3, "packages": self.packages, "files": {str(self.file): hash_file(self.file)}}

    def convert(self, request: Mapping[str, Any]) -> dict[str, Any]:
        text = Path(request["source"], "model.onnx").read_text()
        Path(request["folder"], "model.onnx").write_text(f"converted {text}")
        return {"seconds": 1.0, "signature": tree_signature("model.onnx"), "packages": lookups.record()}


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shipped:
    return Shipped(tmp_path, monkeypatch)


@pytest.mark.parametrize("seen_between", [False, True], ids=["alone", "its source first"])
def test_what_is_converted_is_as_old_as_the_file_that_it_is_made_from(shipped: Shipped, seen_between: bool) -> None:
    shipped.file.write_text("first")
    found = [shipped.artifact("onnx-fp16") for _ in range(2)]
    assert [(one.cached, one.path.read_text()) for one in found] == [
        (False, "converted first"),
        (True, "converted first"),
    ]
    shipped.file.write_text("second")
    if seen_between:
        assert shipped.artifact("onnx").path.read_text() == "second"
    now = shipped.artifact("onnx-fp16")
    assert (now.cached, now.path.read_text()) == (False, "converted second")


def test_what_is_converted_is_as_old_as_the_packages_of_the_export_that_it_is_made_from(
    shipped: Shipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped.file.write_text("first")
    now = shipped.packages = {"onnxscript": "1"}
    monkeypatch.setattr(lookups, "unchanged", lambda found: found.get("onnxscript") in (None, now["onnxscript"]))
    assert [shipped.artifact("onnx-fp16").cached for _ in range(2)] == [False, True]
    now = shipped.packages = {"onnxscript": "2"}
    assert not shipped.artifact("onnx").cached
    assert [shipped.artifact("onnx-fp16").cached for _ in range(2)] == [False, True]


@pytest.mark.parametrize("name", ["onnx", "onnx-fp16"])
def test_what_a_cell_is_made_of_has_the_files_that_its_case_ships(shipped: Shipped, name: str) -> None:
    shipped.file.write_text("first")
    # Before the export, and after one that failed, nobody knows which files it reads.
    assert shipped.made_of(name) == ""
    assert shipped.made_of("torchscript-trace") == "key"
    shipped.refuses = True
    with pytest.raises(StageFailure):
        shipped.artifact(name)
    assert shipped.made_of(name) == ""
    shipped.refuses = False
    shipped.artifact(name)
    first = shipped.made_of(name)
    assert first == shipped.made_of(name) != ""
    shipped.file.write_text("second")
    assert shipped.made_of(name) == ""
    shipped.artifact(name)
    assert shipped.made_of(name) not in ("", first)
    # And what was there before is known again.
    shipped.file.write_text("first")
    shipped.artifact(name)
    assert shipped.made_of(name) == first


@pytest.mark.parametrize(
    ("format_name", "device", "exported_on"),
    [
        ("torchscript-trace", "cpu", "cpu"),
        ("torchscript-trace", "cuda", "cpu"),
        ("onnx", "cuda", "cpu"),
        ("aoti", "cpu", "cpu"),
        ("aoti", "cuda", "cuda"),
        # Nothing of it is stored, so nothing is computed.
        ("module", "cuda", "cpu"),
        ("export", "cuda-to-cpu", "cuda"),
    ],
)
def test_only_exporters_that_need_the_gpu_have_a_turn_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_name: str, device: str, exported_on: str
) -> None:
    seen: list[tuple[str, str, bool]] = []
    registry = Registry()
    register_built_in(registry)
    pool = Pool(registry, tmp_path, [], threads=1, share=1, inline=True, progress=print)
    pool.turns = Turns(Portion(Gpu("0", "NVIDIA X 9.0")), lambda: None, print, tmp_path / "turns")

    def export(request: Mapping[str, Any]) -> dict[str, Any]:
        with (tmp_path / "turns" / "0.use").open("w") if (tmp_path / "turns").exists() else nullcontext() as file:
            seen.append((request["host"], request["device"], file is not None and not _is_free(file)))
        raise WorkerError("that is enough", "export")

    def host_of(name: str, device: str) -> InlineWorker:
        return InlineWorker("case host", {"export": lambda request: export({**request, "host": device})}, raises=False)

    monkeypatch.setattr(pool, "host_of", host_of)
    monkeypatch.setattr(pool, "prestart", lambda *names: None)
    content: Any = type("Content", (), {"digest": "d", "output_paths": []})()
    prepared = Prepared(content, "key", tmp_path, cached=False)
    (tmp_path / "a.py").touch()
    cell = Cell("a.py", "a", format_name, "torch", device=device)
    with pytest.raises(StageFailure, match="that is enough"):
        Exports(registry, Cache(tmp_path), pool, 10).artifact(
            CaseRef(tmp_path / "a.py", "a.py", "a"), prepared, cell, Budget(10, pool), lambda outcome: False
        )
    assert seen == [(exported_on, exported_on, exported_on == "cuda")]


def _is_free(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def test_what_is_compiled_for_one_kind_of_gpu_is_not_taken_for_another(tmp_path: Path) -> None:
    registry = Registry()
    register_built_in(registry)
    content: Any = type("Content", (), {"digest": "d"})()
    prepared = Prepared(content, "key", tmp_path, cached=False)

    def key(kind: str, device: str) -> str:
        pool = Pool(registry, tmp_path, [], threads=1, share=1, inline=True, progress=print)
        pool.turns = Turns(Portion(Gpu("0", kind)), lambda: None, print, tmp_path)
        ref = CaseRef(tmp_path / "a.py", "a.py", "a")
        return Columns(registry, pool).key(prepared, "aoti", device, ref)

    assert len({key(kind, "cuda") for kind in ("NVIDIA H200 9.0", "NVIDIA A100 8.0")}) == 2
    assert len({key(kind, "cpu") for kind in ("NVIDIA H200 9.0", "NVIDIA A100 8.0")}) == 1
