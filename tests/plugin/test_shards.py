"""`--modelconform-shard`: each cell is in exactly one shard, and none is lost.

The cases here need a package that nobody has, so that their cells are settled without a worker.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import pytest

from pytest_modelconform.commands import cli
from pytest_modelconform.plugin.shards import split
from pytest_modelconform.report import log
from pytest_modelconform.report.log import Log
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Verdict
from tests.support import runs

CASES = "from pytest_modelconform import Case\n" + "".join(
    f"{name} = Case(model=None, inputs={{}}, requires=('no-such-package',))\n" for name in ("one", "two")
)
VARIANTS = [["-p", "no:xdist"], ["-n", "2"]]


def test_units_are_spread_evenly() -> None:
    sizes = {"big": 30, **{f"unit{i}": 1 + i % 7 for i in range(50)}}
    units = [unit for unit, size in sizes.items() for _ in range(size)]
    for count in (1, 2, 3, 7):
        shards = split(units, count)
        assert set(shards) == set(sizes)
        load = Counter(shards[unit] for unit in units)
        assert set(load) == set(range(1, count + 1))
        assert max(load.values()) - min(load.values()) <= 7
        # Whatever the order in which they were collected.
        assert split(reversed(units), count) == shards


def test_no_shard_gets_all_of_one_format() -> None:
    units = [f"{i}.py::case{i}[{name}]" for i in range(20) for name in ("fast", "slow") for _ in range(4)]
    shards = split(units, 2)
    slow = [shards[unit] for unit in dict.fromkeys(units) if "slow" in unit]
    assert 5 <= slow.count(1) <= 15


def test_more_shards_than_units() -> None:
    assert sorted(split(["a", "b", "b"], 5).values()) == [1, 2]


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    for name in ("a", "b"):
        (pytester.path / f"{name}.py").write_text(CASES)
    pytester.makeini("[pytest]\n")
    pytester.makepyfile(test_other="def test_other():\n    pass\n")
    return pytester


def run(project: pytest.Pytester, *options: str, keep: str = "") -> tuple[pytest.RunResult, Log]:
    """A run and its log. keep: a copy of that, in the project."""
    start = project.runpytest_subprocess if "-n" in options else project.runpytest_inprocess
    result = start("--modelconform", *runs.OTHERS_PLUGINS, *options)
    [line] = [line for line in result.outlines if line.startswith("log: ")]
    path = Path(line.removeprefix("log: "))
    if keep:
        (project.path / keep).write_bytes(path.read_bytes())
    return result, log.read(path)


def test_every_cell_is_in_one_shard(project: pytest.Pytester) -> None:
    whole = run(project, "-p", "no:xdist")[1]
    cells = [cell for cell, _ in whole.cells]
    assert len(cells) > 30
    found: dict[Cell, Outcome] = {}
    others = 0
    for index in (1, 2, 3):
        # In xdist, its workers split, and the controller writes.
        variant = VARIANTS[index % 2]
        result, part = run(project, *variant, f"--modelconform-shard={index}/3", keep=f"{index}.jsonl")
        assert result.ret == 0
        assert f"modelconform: shard {index} of 3" in result.outlines
        assert part.shard is not None
        assert (part.shard.index, part.shard.count) == (index, 3)
        # Each knows all cells of all shards.
        assert set(part.shard.cells) == set(cells)
        assert {cell for cell, shard in part.shard.cells.items() if shard == index} == set(dict(part.cells))
        assert not set(dict(part.cells)) & set(found)
        found.update(part.cells)
        others += result.parseoutcomes().get("passed", 0)
    assert set(found) == set(cells)
    # Other tests run once, too.
    assert others == 1

    logs = [str(project.path / f"{index}.jsonl") for index in (1, 2, 3)]
    merged = project.path / "merged.jsonl"
    assert cli.main(["merge", *logs, "-o", str(merged)]) == 0
    assert dict(log.read(merged).cells) == dict(whole.cells)
    assert cli.main(["merge", logs[0], logs[2], "-o", str(merged)]) == 1
    lost = {cell for cell, outcome in log.read(merged).cells if outcome.verdict is Verdict.NOT_RUN}
    assert lost == set(dict(log.read(project.path / "2.jsonl").cells))
    assert set(dict(log.read(merged).cells)) == set(cells)


@pytest.mark.parametrize("variant", VARIANTS, ids=["no-xdist", "n2"])
def test_a_shard_without_a_cell_is_no_failure_and_has_a_log(project: pytest.Pytester, variant: list[str]) -> None:
    result, part = run(project, *variant, "--modelconform-shard=9/9", "a.py", "-k", "eager")
    assert result.ret == 0
    assert (part.cells, part.complete) == ([], True)
    assert part.shard is not None
    assert sorted(part.shard.cells.values()) == [1, 2]


def test_no_cell_at_all_is_one(project: pytest.Pytester) -> None:
    result, _ = run(project, "-p", "no:xdist", "--modelconform-shard=1/2", "-k", "nothing")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_expected_toml_is_judged_as_a_whole(project: pytest.Pytester) -> None:
    entry = '[[expect]]\ncell = "{}"\nverdict = "error"\nstage = "export"\nreason = "known"\n'
    expected = project.path / "expected.toml"
    statuses = {}
    # One matches cells of one shard or another, the other none of any.
    for cell in ("a.py::one[onnx-*]", "c.py::one[onnx-*]"):
        expected.write_text(entry.format(cell))
        results = [run(project, "-p", "no:xdist", f"--modelconform-shard={i}/2")[0] for i in (1, 2)]
        statuses[cell] = sorted(int(result.ret) for result in results)
    assert statuses == {"a.py::one[onnx-*]": [0, 0], "c.py::one[onnx-*]": [0, 1]}


@pytest.mark.parametrize("given", ["0/3", "4/3", "3", "a/b", "1/3/5", "-1/3", "1/99999"])
def test_parts_that_are_none(project: pytest.Pytester, given: str) -> None:
    result = project.runpytest_inprocess("--modelconform", f"--modelconform-shard={given}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert (
        f"--modelconform-shard: invalid shard {given!r}: expected I/N with 1 ≤ I ≤ N, for example 1/3."
        in result.stderr.str()
    )


def test_an_update_needs_all_cells(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("--modelconform", "--modelconform-shard=1/2", "--modelconform-update-expected")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--modelconform-update-expected needs the results of all cells: leave out --modelconform-shard." in (
        result.stderr.str()
    )


def test_as_an_ini_key(project: pytest.Pytester) -> None:
    project.makeini("[pytest]\nmodelconform_shard = 2/3\n")
    _, part = run(project, "-p", "no:xdist")
    assert part.shard is not None
    assert (part.shard.index, part.shard.count) == (2, 3)


@pytest.mark.parametrize("variant", VARIANTS, ids=["no-xdist", "n2"])
def test_properties_of_junitxml(project: pytest.Pytester, variant: list[str]) -> None:
    target = project.path / "junit.xml"
    run(project, *variant, "a.py", f"--junitxml={target}")
    cases = {case.get("name"): case for case in ElementTree.parse(target).getroot().iter("testcase")}
    found = cases["one[onnx-ort_cpp-cpu]"].findall("properties/property")
    assert {element.get("name"): element.get("value") for element in found} == {
        "format": "onnx", "runtime": "ort-cpp", "device": "cpu", "dtype": "float32", "precision": "full",
        "task": "inference", "verdict": "unavailable", "stage": "environment",
    }  # fmt: skip


def test_without_junitxml_results_ride_in_no_properties(project: pytest.Pytester) -> None:
    project.makeconftest("def pytest_runtest_logreport(report):\n    assert not report.user_properties\n")
    result, _ = run(project, "-p", "no:xdist", "a.py")
    assert result.ret == 0
