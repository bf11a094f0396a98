from __future__ import annotations

import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_modelconform.cluster.environment import Facts, _packages, differences, facts, variables

ONE = Facts("3.11.7", "/venv", "0.1.0 (a)", "EPYC", "Linux", {"torch": "2.14.1", "numpy": "2.3"}, "f")


def test_the_same() -> None:
    assert differences(ONE, replace(ONE)) == []
    assert differences(facts(), facts()) == []
    assert {"torch", "pytest", "numpy"} <= set(facts().packages)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"python": "3.12.1"}, "Python is 3.12.1 instead of 3.11.7"),
        ({"folder": "/other"}, "Python's folder is /other instead of /venv"),
        ({"plugin": "0.1.0 (b)"}, "pytest-modelconform is 0.1.0 (b) instead of 0.1.0 (a)"),
        ({"processor": "Xeon"}, "the processor is Xeon instead of EPYC"),
        ({"packages": {"torch": "2.13", "numpy": "2.3"}}, "torch is 2.13 instead of 2.14.1"),
        ({"packages": {"torch": "2.14.1"}}, "numpy is missing instead of 2.3"),
        ({"packages": {**ONE.packages, "onnx": "1.17"}}, "onnx is 1.17 instead of missing"),
        ({"fingerprint": "g"}, "its instruction sets or its variables are others"),
    ],
)
def test_a_difference_is_said(changes: dict[str, str], said: str) -> None:
    assert differences(ONE, replace(ONE, **changes)) == [said]  # type: ignore[arg-type]


def test_copies_that_a_package_brings_are_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As setuptools and Ray put theirs on the path, once they are imported.
    site, project = tmp_path / "site", tmp_path / "project"
    for folder, name in ((site, "big"), (site / "big" / "_vendor", "copied"), (project, "editable")):
        (folder / f"{name}-1.0.dist-info").mkdir(parents=True)
        (folder / f"{name}-1.0.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(site))
    monkeypatch.setattr(sys, "path", [str(site / "big" / "_vendor"), str(project), str(site)])
    monkeypatch.chdir(tmp_path)
    assert _packages.__wrapped__() == {"big": "1.0", "editable": "1.0"}


def test_many_differences_are_shortened() -> None:
    found = differences(ONE, replace(ONE, packages=dict.fromkeys("abcdefg", "1")))
    assert len(found) == 5
    assert found[-1] == "5 more differ"


def test_variables_that_results_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("MODELCONFORM_CACHE", "/x")
    assert variables()["OMP_NUM_THREADS"] == "3"
    assert "MODELCONFORM_CACHE" not in variables()
