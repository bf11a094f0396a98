"""Our own tests' scheduling: whole files, the longest first."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from tests import scheduling


def test_files_that_are_named_are_there() -> None:
    assert {path.name for path in Path(__file__).parent.rglob("test_*.py")} >= scheduling.SECONDS.keys()


def test_the_longest_file_goes_first_and_as_a_whole(
    pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduling, "SECONDS", {"test_long.py": 100.0, "test_longer.py": 200.0, "test_quick.py": 1.0})
    made = scheduling.FileScheduling.__new__(scheduling.FileScheduling)
    files = ("a/test_quick.py", "a/test_long.py", "b/test_longer.py", "b/test_other.py")
    made.workqueue = OrderedDict(
        (made._split_scope(node_id), {node_id: False}) for node_id in (f"{file}::test[a::b]" for file in files)
    )
    assert list(made.workqueue) == list(files)

    class Node:
        sent: list[int] = []  # noqa: RUF012 (a stand-in for xdist's)

        def send_runtest_some(self, indices: list[int]) -> None:
            self.sent += indices

    node: Any = Node()
    made.assigned_work = {node: OrderedDict()}
    made.registered_collections = {node: [f"{file}::test[a::b]" for file in files]}
    for _ in files:
        made._assign_work_unit(node)
    # The others are taken for longer than what is known to be quick.
    assert [files[index] for index in node.sent] == [files[2], files[1], files[3], files[0]]
