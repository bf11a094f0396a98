"""`--modelconform-shard`: each cell is in exactly one shard, and none is lost.

The cases here need a package that nobody has, so that their cells are settled without a worker.
"""

from __future__ import annotations

import json
import random
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_modelconform.commands import cli
from pytest_modelconform.plugin.durations import Estimates
from pytest_modelconform.plugin.shards import seconds_of, split
from pytest_modelconform.report import log
from pytest_modelconform.report.log import Log
from pytest_modelconform.report.recordings import Known
from pytest_modelconform.terms.cell import Cell
from pytest_modelconform.terms.outcome import Outcome, Verdict
from tests.support import runs

CASES = "from pytest_modelconform import Case\n" + "".join(
    f"{name} = Case(model=None, inputs={{}}, requires=('no-such-package',))\n" for name in ("one", "two")
)
VARIANTS = [["-p", "no:xdist"], ["-n", "2"]]


def zoo(seed: int = 0) -> dict[str, float]:
    """Units as those of our own cases: 137 in 7 formats, of which one takes most; sizes over four decades."""
    draw = random.Random(seed)
    formats = {"aoti": 16.0, "onnx": 4.7, "export": 1.5, **{f"light{i}": 0.2 for i in range(4)}}
    units = {}
    for case in range(137):
        size = draw.lognormvariate(-1.0, 1.0)
        for name, seconds in formats.items():
            units[f"{case}.py::case{case}[{name}]"] = 0.6 + size * seconds * draw.lognormvariate(0.0, 0.5)
    return units


def loads(units: Mapping[str, float], shards: Mapping[str, int], count: int) -> list[float]:
    return [sum(units[unit] for unit, at in shards.items() if at == index) for index in range(1, count + 1)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8, 16])
@pytest.mark.parametrize("seed", range(3))
def test_shards_take_equally_long(count: int, seed: int) -> None:
    units = zoo(seed)
    shards = split(units, count)
    assert set(shards) == set(units)
    found = loads(units, shards, count)
    assert max(found) < 1.05 * sum(found) / count
    # Whatever the order in which they were collected.
    assert split(dict(reversed(units.items())), count) == shards


def test_a_case_stays_together_where_that_costs_nothing() -> None:
    """Each shard that has a part of a case makes its references."""
    units = zoo()
    for count, more in ((4, 0), (16, 30)):
        made = {(unit.partition("[")[0], index) for unit, index in split(units, count).items()}
        assert len(made) <= 137 + more


def test_a_case_that_is_longer_than_others_is_divided() -> None:
    units = {**{f"large.py::large[{i}]": 10.0 for i in range(8)}, **{f"{i}.py::small[onnx]": 1.0 for i in range(40)}}
    shards = split(units, 4)
    assert len({shards[unit] for unit in units if "large" in unit}) == 4
    assert loads(units, shards, 4) == [30.0] * 4


def test_no_shard_gets_all_of_one_format() -> None:
    units = dict.fromkeys([f"{i}.py::case[{name}]" for i in range(20) for name in ("fast", "slow")], 4.0)
    slow = [index for unit, index in split(units, 2).items() if "slow" in unit]
    assert 5 <= slow.count(1) <= 15


def test_more_shards_than_units() -> None:
    assert split({"a": 1.0, "b": 2.0}, 5) == {"b": 1, "a": 2}


def test_a_unit_is_estimated_by_the_dtypes_and_tasks_in_it() -> None:
    ids = [f"a.py::net[aoti-{rest}]" for rest in ("torch-cpu", "libtorch_cpp-cpu", "torch-cpu-float64")]
    estimates = Estimates({ids[0]: Known("", 20.0, 1.0), ids[1]: Known("", 2.0, 2.0), ids[2]: Known("", 30.0, 1.0)})
    items = [("a.py::net[aoti]", node_id) for node_id in ids]
    assert seconds_of(items, estimates) == {"a.py::net[aoti]": 52.0}
    assert seconds_of(items[::-1], estimates) == seconds_of(items, estimates)
    # Nothing is known: two artifacts and three cells.
    assert seconds_of(items, Estimates({})) == {"a.py::net[aoti]": 2 * 16.0 + 3.0}


def test_shards_heed_recordings_and_nothing_of_the_machine(project: pytest.Pytester) -> None:
    """Of two equal cases, the one that takes as long as all else is alone in its shard, on both machines."""
    ids = [cell.id for cell, _ in run(project, "-p", "no:xdist")[1].cells]
    recorded = {node_id: ["", 100.0 if node_id.startswith("a.py::one[onnx-") else 0.001, 0.0] for node_id in ids}
    (project.path / "durations.json").write_text(json.dumps(recorded))
    found = []
    for index in (1, 2):
        # What this machine has recorded differs from shard to shard, and counts for the order of cells only.
        own = project.path / f"cache{index}"
        own.mkdir(mode=0o700)
        (own / "durations.json").write_text(json.dumps({node_id: ["", index * 7.0, 0.0] for node_id in ids[:9]}))
        options = (f"--modelconform-cache={own}", "--modelconform-durations=durations.json")
        result, part = run(
            project, *VARIANTS[index % 2], f"--modelconform-shard={index}/2", *options, keep=f"{index}.jsonl"
        )
        result.stdout.fnmatch_lines([f"modelconform: shard {index} of 2, split by recordings * of {len(ids)} cells"])
        assert part.shard is not None
        found.append(part.shard)
    assert found[0].cells == found[1].cells
    assert found[0].recordings == found[1].recordings != ""
    long = {
        index
        for cell, index in found[0].cells.items()
        if (cell.file, cell.case, cell.format) == ("a.py", "one", "onnx")
    }
    rest = {
        index
        for cell, index in found[0].cells.items()
        if (cell.file, cell.case, cell.format) != ("a.py", "one", "onnx")
    }
    assert (len(long), rest & long) == (1, set())

    merged = project.path / "merged.jsonl"
    assert cli.main(["merge", "1.jsonl", "2.jsonl", "-o", str(merged)]) == 0
    run(project, "-p", "no:xdist", "--modelconform-shard=2/2", keep="2.jsonl")
    assert cli.main(["merge", "1.jsonl", "2.jsonl", "-o", str(merged)]) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file or directory"),
        ("{", "is not a file of durations: "),
        ("[]", "is not a file of durations: it is no object of cells"),
        ('{"a.py::a[onnx-ort-cpu]": "long"}', "'a.py::a[onnx-ort-cpu]' is 'long', and not what a cell took"),
        ('{"a.py::a[onnx-ort-cpu]": ["", -1, 0]}', "and not what a cell took"),
    ],
)
def test_recordings_that_are_none(project: pytest.Pytester, text: str | None, said: str) -> None:
    if text is not None:
        (project.path / "durations.json").write_text(text)
    result = project.runpytest_inprocess("--modelconform", "--modelconform-durations=durations.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"--modelconform-durations: {project.path / 'durations.json'}" in result.stderr.str()
    assert said in result.stderr.str()
    assert "`modelconform report LOG --format durations -o FILE` writes one." in result.stderr.str()


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


def untimed(found: Log) -> dict[Cell, Outcome]:
    return {cell: replace(outcome, duration=None) for cell, outcome in found.cells}


def test_every_cell_is_in_one_shard(project: pytest.Pytester) -> None:
    whole = run(project, "-p", "no:xdist")[1]
    cells = [cell for cell, _ in whole.cells]
    assert len(cells) > 30
    found: dict[Cell, Outcome] = {}
    others = 0
    for index in (1, 2, 3):
        # In xdist, its workers split, and the controller writes.
        variant = VARIANTS[index == 2]
        result, part = run(project, *variant, f"--modelconform-shard={index}/3", keep=f"{index}.jsonl")
        assert result.ret == 0
        assert f"modelconform: shard {index} of 3, split by estimates" in result.outlines
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
    assert untimed(log.read(merged)) == untimed(whole)
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


def test_properties_of_junitxml(project: pytest.Pytester) -> None:
    """Those of two processes are in test_options.py."""
    target = project.path / "junit.xml"
    run(project, "-p", "no:xdist", "a.py", f"--junitxml={target}")
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
