"""Why a run collected nothing: what a case file is, and that it takes `--modelconform`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from ..cells.case_files import is_case_file
from . import options
from .named import python_files
from .run import RUN

# Files that are looked into for a case: a hint is not worth more.
_MOST_FILES = 2000


def why_nothing(config: pytest.Config) -> str | None:
    """A sentence for a run that collected no test at all, or None if that has nothing to do with cases."""
    if options.enabled(config):
        # With xdist only its workers know what there was to collect.
        is_one_process = config.getoption("dist", "no") == "no" and not hasattr(config, "workerinput")
        if not is_one_process or RUN not in config.stash or config.stash[RUN].collected.files:
            return None
        return (
            "no case file was found. A case file is a .py file that imports pytest_modelconform and whose name begins "
            "with neither test_ nor _."
        )
    found = next(filter(is_case_file, _files(config)), None)
    if found is not None:
        return f"{found.name} is a case file, and case files need --modelconform. {options.SWITCH_ON}"
    return None


def _files(config: pytest.Config) -> list[Path]:
    """Python files that the command line names, itself or by their folders."""
    found: list[Path] = []
    for argument in config.args:
        path = Path(config.invocation_params.dir, argument.partition("::")[0])
        found += islice(python_files(config, path), _MOST_FILES) if path.is_dir() else [path]
    return found
