"""Cases with the tag `slow`: what runs them, and what a run says that doesn't."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import runs

# Of a case whose package is missing nothing is imported, and its cells are there all the same.
QUICK = runs.PLAIN.replace("inputs=inputs", "inputs=inputs, requires=('no_such_package',)")
SLOW = QUICK.replace("requires=", "tags=('vision', 'slow'), requires=")
WHY = "left out: tagged 'slow'. To run it, name its file, or add --modelconform-slow"
IN_RUNTIME = "torchscript_trace-fake_good_never-cpu"


def folder(path: Path, ini: str = "") -> Path:
    """A project with a slow case and another one."""
    return runs.write(path, {"cases/large.py": SLOW, "cases/small.py": QUICK, "pytest.ini": f"[pytest]\n{ini}"})


@pytest.mark.parametrize("processes", [0, 2])
def test_a_plain_run_leaves_them_out_and_says_so(tmp_path: Path, processes: int) -> None:
    result = runs.run(folder(tmp_path), "cases", f"-n{processes}", "-ra")
    assert result.status == 0, result.stdout
    assert {name: cell["verdict"] for name, cell in result.cells.items()} == {
        "large[eager]": "not-run",
        "small[eager]": "unavailable",
        f"small[{IN_RUNTIME}]": "unavailable",
    }
    assert result.cells["large[eager]"]["message"] == WHY
    assert f"\nLeft out\n  large: {WHY.removeprefix('left out: ')}\n" in result.stdout
    assert [line.split() for line in result.stdout.splitlines() if line.startswith("large ")] == [["large", "?"]]


def test_a_file_that_is_named_runs_in_several_processes_too(tmp_path: Path) -> None:
    result = runs.run(folder(tmp_path), "cases/large.py", "-n2")
    assert {name: cell["verdict"] for name, cell in result.cells.items()} == {
        "large[eager]": "unavailable",
        f"large[{IN_RUNTIME}]": "unavailable",
    }


@pytest.mark.parametrize(
    ("arguments", "ini", "names"),
    [
        (("cases", "--modelconform-slow"), "", {"large", "small"}),
        (("cases",), "modelconform_slow = true\n", {"large", "small"}),
        (("cases/large.py",), "", {"large"}),
        ((f"cases/large.py::large[{IN_RUNTIME}]",), "", {"large"}),
        (("cases", "-m", "slow"), "", {"large"}),
        (("cases", "-m", "not slow"), "", {"small"}),
    ],
)
def test_who_names_them_gets_them(
    pytester: pytest.Pytester, tmp_path: Path, arguments: tuple[str, ...], ini: str, names: set[str]
) -> None:
    result = runs.run_here(pytester, folder(tmp_path, ini), *arguments)
    assert {cell["verdict"] for cell in result.cells.values()} == {"unavailable"}
    assert {name for name in names if f"{name}[{IN_RUNTIME}]" in result.cells} == names
    assert {name.partition("[")[0] for name in result.cells} == names
