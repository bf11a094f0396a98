"""When an artifact of the cache counts, by the packages that it was made with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.cache.store import Cache
from pytest_modelconform.cells.case_host import Exports
from pytest_modelconform.cells.pool import Pool
from pytest_modelconform.cells.registry import Registry, register_built_in
from pytest_modelconform.cells.stages import Artifact, Budget
from pytest_modelconform.cells.worker import InlineWorker
from pytest_modelconform.formats.base import tree_signature
from pytest_modelconform.references.prepared import Prepared
from pytest_modelconform.terms.cell import CaseRef, Cell
from pytest_modelconform.workers import lookups

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
