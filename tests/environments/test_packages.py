"""What the message says of a case's packages that are missing."""

from __future__ import annotations

import importlib.metadata

import pytest
from packaging.version import Version

from pytest_modelconform.environments.packages import missing_of_case

TORCH = Version(importlib.metadata.version("torch")).public


def test_the_command_keeps_the_torch_that_is_there() -> None:
    message = missing_of_case(("no-such-module", "no-such-other>=2", "packaging"))
    assert message == (
        "needs no-such-module, no-such-other>=2: "
        f"pip install no-such-module 'no-such-other>=2' torch=={TORCH}; "
        "if pip finds a conflict: pip install --no-deps no-such-module 'no-such-other>=2'"
    )


def test_a_build_of_torch_is_named_by_its_public_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index has `2.11.0`, and pip takes the installed `2.11.0+cpu` for it."""
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.11.0+cpu" if name == "torch" else real(name))
    message = missing_of_case(("no-such-module",))
    assert message is not None
    assert " torch==2.11.0;" in message


def test_a_case_that_wants_another_torch_is_told_to_install_that_one() -> None:
    message = missing_of_case(("Torch>=1000",))
    assert message == "needs Torch>=1000: pip install 'Torch>=1000'"


def test_nothing_is_said_if_all_are_there() -> None:
    assert missing_of_case(("torch", "packaging>=20")) is None
