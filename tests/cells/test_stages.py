"""What a cell's time goes to, and what is said where there was too little."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelconform.cells import stages
from pytest_modelconform.cells.stages import Budget
from pytest_modelconform.cells.worker import WorkerTimeout


class Slow:
    """A worker that takes its time, by a clock of its own; it gives no answer to `run`."""

    name = "torch"
    now = 0.0

    def ask(self, op: str, timeout: float, **fields: Any) -> dict[str, Any]:
        self.now += {"export": 229.0, "load": 0.2, "run": timeout}[op]
        if op == "run":
            raise WorkerTimeout(f"torch gave no answer within {timeout:.4g} s", "")
        return {}


@pytest.mark.parametrize(
    ("done", "said"),
    [
        (("load",), "torch gave no answer within 99.8 s (--modelconform-timeout)"),
        (("export", "load"), "torch gave no answer within 100 s, of which export took 229 s (--modelconform-timeout)"),
    ],
)
def test_a_cell_without_time_says_where_it_went(
    monkeypatch: pytest.MonkeyPatch, done: tuple[str, ...], said: str
) -> None:
    worker: Any = Slow()
    monkeypatch.setattr(stages, "time", SimpleNamespace(monotonic=lambda: worker.now))
    pool: Any = SimpleNamespace(last_op="")
    budget = Budget(100.0, pool)
    for op in done:
        budget.ask(worker, op)
    with pytest.raises(WorkerTimeout) as caught:
        budget.ask(worker, "run")
    assert str(caught.value) == said
