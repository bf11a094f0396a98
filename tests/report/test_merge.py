from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_modelconform.report import log
from pytest_modelconform.report.log import Log, LogWriter, Shard
from pytest_modelconform.report.merge import MergeError, merge
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Stage, Verdict
from tests.support import nasty

ABOUT: dict[str, Any] = {
    "pytest-modelconform": "0.1.0",
    "python": "3.11.7",
    "processor": "one",
    "packages": {"torch": "2.14.1"},
    "options": {"formats": ["onnx"], "runtimes": ["ort"]},
    "date": "2026-11-23T06:00:00+00:00",
}
PASS = Outcome(Verdict.PASS, bits=20)
A, B, C = (Cell("a.py", name, "onnx", "ort") for name in "abc")
SHARDS = {A: 1, B: 2, C: 3}


def shard(index: int, *cells: tuple[Cell, Outcome], complete: bool = True, count: int = 3) -> tuple[str, Log]:
    return f"{index}.jsonl", Log(ABOUT, [*cells], complete, Shard(index, count, SHARDS if complete else {}))


def test_all_shards() -> None:
    merged = merge([shard(2, (B, PASS)), shard(1, (A, PASS)), shard(3, (C, PASS))])
    assert (dict(merged.cells), merged.complete, log.missing(merged)) == ({A: PASS, B: PASS, C: PASS}, True, [])
    assert merged.environment["merged"] == ["2.jsonl", "1.jsonl", "3.jsonl"]
    assert merged.shard is None


def test_shards_that_were_split_by_different_recordings() -> None:
    def split_by(index: int, recordings: str) -> tuple[str, Log]:
        # As of logs that were cut off, which don't know all cells.
        return f"{index}.jsonl", Log(ABOUT, [], False, Shard(index, 2, recordings=recordings))

    assert not merge([split_by(1, "abc"), split_by(2, "abc")]).complete
    for other, said in (("def", "recordings def"), ("", "estimates")):
        with pytest.raises(MergeError) as caught:
            merge([split_by(1, "abc"), split_by(2, other)])
        assert str(caught.value).startswith(
            f"1.jsonl was split by recordings abc, 2.jsonl by {said}, so that cells may"
        )


def test_cells_of_a_missing_shard_are_not_run() -> None:
    merged = merge([shard(1, (A, PASS)), shard(3, (C, PASS))])
    assert not merged.complete
    assert log.missing(merged) == ["shard 2 of 3"]
    found = dict(merged.cells)
    assert set(found) == {A, B, C}
    assert found[B] == Outcome(Verdict.NOT_RUN, None, "not run: shard 2 of 3 has no log here")


def test_cells_of_a_shard_that_was_cut_off_are_not_run() -> None:
    merged = merge([shard(1, (A, PASS)), shard(2, complete=False), shard(3, (C, PASS))])
    assert log.missing(merged) == ["the end of 2.jsonl (cut off)"]
    assert dict(merged.cells)[B].message == "not run: shard 2 of 3 did not come to it"
    assert not merged.complete


def test_the_last_shards_that_are_missing_are_known_from_the_count() -> None:
    assert log.missing(merge([shard(1, (A, PASS), complete=False)])) == [
        "shard 2 of 3", "shard 3 of 3", "the end of 1.jsonl (cut off)",
    ]  # fmt: skip


def test_shards_of_other_runs_are_refused() -> None:
    with pytest.raises(
        MergeError, match=r"1.jsonl is shard 1 of 3, 2.jsonl is shard 2 of 4: these are not shards of one run"
    ):
        merge([shard(1), shard(2, count=4)])
    name, other = shard(2, (B, PASS))
    strange = replace(other, shard=Shard(2, 3, {A: 1, B: 2}))
    message = (
        r"1.jsonl and 2.jsonl are not shards of one run: a.py::c\[onnx-ort-cpu\] was collected in one of them only"
    )
    with pytest.raises(MergeError, match=message):
        merge([shard(1, (A, PASS)), (name, strange)])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"python": "3.12.1"}, "1 has python 3.11.7, 2 has 3.12.1: results of different versions can't be merged"),
        ({"pytest-modelconform": "0.2"}, "1 has pytest-modelconform 0.1.0, 2 has 0.2"),
        ({"packages": {"torch": "2.15.0"}}, r"1 has torch 2.14.1, 2 has 2.15.0.*`modelconform diff` compares them"),
        ({"packages": {"torch": None}}, "1 has torch 2.14.1, 2 has none"),
    ],
)
def test_other_versions_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(MergeError, match=message):
        merge([("1", Log(ABOUT, [(A, PASS)], True)), ("2", Log({**ABOUT, **changed}, [(B, PASS)], True))])


def test_other_pins_of_an_environment_are_refused() -> None:
    logs = [Log({**ABOUT, "environments": {"caffe2": [f"torch=={v}"]}}, [], True) for v in ("1.4.0", "1.5.0")]
    with pytest.raises(MergeError, match=r"1 has caffe2 torch==1.4.0, 2 has torch==1.5.0"):
        merge([("1", logs[0]), ("2", logs[1])])


def test_what_only_one_log_needs_is_no_difference() -> None:
    other = {**ABOUT, "packages": {"torch": "2.14.1", "mnn": "3"}, "processor": "two", "date": "2026-11-24"}
    other["options"] = {"formats": ["mnn", "onnx"], "runtimes": ["mnn"]}
    merged = merge([("1", Log(ABOUT, [(A, PASS)], True)), ("2", Log(other, [(B, PASS)], True))])
    assert merged.complete
    assert merged.environment["packages"] == {"mnn": "3", "torch": "2.14.1"}
    assert merged.environment["processor"] == "one; two"
    assert merged.environment["date"] == "2026-11-24"
    assert merged.environment["options"]["formats"] == ["onnx", "mnn"]


def two(first: Outcome, second: Outcome) -> Outcome:
    merged = merge([("1.jsonl", Log(ABOUT, [(A, first)], True)), ("2.jsonl", Log(ABOUT, [(A, second)], True))])
    return dict(merged.cells)[A]


def test_other_verdicts_of_a_cell_are_refused() -> None:
    message = r"a.py::a\[onnx-ort-cpu\] is pass in 1.jsonl and mismatch at stage compare in 2.jsonl: run it once"
    with pytest.raises(MergeError, match=message):
        two(PASS, Outcome(Verdict.MISMATCH, Stage.COMPARE))
    with pytest.raises(MergeError, match=r"is error at stage load in 1.jsonl and error at stage run in 2.jsonl"):
        two(Outcome(Verdict.ERROR, Stage.LOAD), Outcome(Verdict.ERROR, Stage.RUN))


def test_a_verdict_stands_for_one_that_says_nothing() -> None:
    lost, absent = Outcome(Verdict.NOT_RUN), Outcome(Verdict.UNAVAILABLE, Stage.ENVIRONMENT)
    for silent in (lost, absent):
        assert two(silent, PASS) == PASS
        assert two(PASS, silent) == PASS
    assert two(lost, absent) == two(absent, lost) == absent
    # The same verdict: the first one's numbers.
    assert two(PASS, replace(PASS, bits=19)) == PASS


def test_nothing_to_merge() -> None:
    with pytest.raises(MergeError, match="there is no log to merge"):
        merge([])


def test_what_is_merged_is_a_log(tmp_path: Path) -> None:
    merged = merge([shard(1, (A, PASS)), shard(3, (C, PASS))])
    log.write(merged, tmp_path / "merged.jsonl")
    again = log.read(tmp_path / "merged.jsonl")
    assert (again.cells, again.complete, again.environment) == (merged.cells, False, dict(merged.environment))
    # What was missing stays missing.
    assert log.missing(merge([("m", again), ("o", Log(ABOUT, [], True))]))[-1] == "shard 2 of 3"


def test_a_shards_log(tmp_path: Path) -> None:
    with LogWriter(tmp_path / "s.jsonl", ABOUT, (2, 3)) as writer:
        writer.cell(B, PASS)
        cut_off = log.read(tmp_path / "s.jsonl")
        writer.close(SHARDS)
    whole = log.read(tmp_path / "s.jsonl")
    assert cut_off.shard == Shard(2, 3)
    assert whole.shard == Shard(2, 3, SHARDS)
    assert str(whole.shard) == "shard 2 of 3"


def test_whatever_names_and_texts_hold(tmp_path: Path) -> None:
    merged = merge([("1", nasty.log()), ("2", nasty.log(complete=False))])
    log.write(merged, tmp_path / "m.jsonl")
    assert len(log.read(tmp_path / "m.jsonl").cells) == len(dict(nasty.cells()))
