"""What tests share is made once, made anew where it was left half-made, and not tried again where it failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelconform.environments import Environment
from tests.support import shared


def test_a_folder_is_filled_once(tmp_path: Path) -> None:
    calls = []

    def make(folder: Path) -> None:
        calls.append(folder)
        (folder / "file").write_text("whole")

    for _ in range(2):
        assert (shared.made(tmp_path, "some", make) / "file").read_text() == "whole"
    assert calls == [tmp_path / "some"]


def test_one_that_was_left_half_made_is_made_anew(tmp_path: Path) -> None:
    def killed(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shared.made(tmp_path, "some", killed)
    assert list(shared.made(tmp_path, "some", lambda folder: (folder / "whole").touch()).iterdir()) == [
        tmp_path / "some" / "whole"
    ]


def test_what_failed_is_not_tried_again_and_says_why(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        raise ValueError("the reason")

    with pytest.raises(ValueError, match="the reason"):
        shared.made(tmp_path, "some", fail)
    with pytest.raises(pytest.fail.Exception, match=r"some could not be made, (.|\n)*ValueError: the reason"):
        shared.made(tmp_path, "some", lambda folder: None)


@pytest.mark.installs
@pytest.mark.parametrize(
    ("environment", "says"),
    [
        (Environment("absent-python", python="2.99"), "needs Python 2.99"),
        (Environment("absent-package", ("modelconform-no-such-package==1",)), "modelconform-no-such-package==1"),
    ],
    ids=["python", "package"],
)
def test_an_environment_that_can_not_be_had(
    environment: Environment, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # No index is asked.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(shared, "CACHE", tmp_path)
    reasons = []
    for _ in range(2):
        with pytest.raises(pytest.skip.Exception) as skipped:
            shared.installed(environment)
        reasons.append(str(skipped.value))
    assert reasons[0] == reasons[1]
    assert reasons[0].startswith(f"the environment {environment.name} ")
    assert says in reasons[0]


@pytest.mark.installs
def test_one_that_is_required_is_no_reason_to_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = Environment("absent-required", python="2.99")
    monkeypatch.setenv(shared.REQUIRED, f"other,{environment.name}")
    with pytest.raises(pytest.fail.Exception, match=r"absent-required needs Python 2\.99") as failed:
        shared.installed(environment)
    assert str(failed.value).endswith(f"${shared.REQUIRED} names it")
