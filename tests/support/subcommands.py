"""`modelconform …`, several of them in one process: one of its own each takes seconds to import pytest and numpy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

LOOP = """\
import contextlib
import io
import json
import os
import sys

from pytest_modelconform.commands import cli

ended = []
for folder, words in json.load(sys.stdin):
    os.chdir(folder)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = cli.main(words)
        except SystemExit as end:
            status = end.code
    ended.append((status, out.getvalue(), err.getvalue()))
print(json.dumps(ended))
"""


def several(*lines: tuple[Path, Sequence[str]]) -> list[tuple[int, str, str]]:
    """Run command lines, each in its folder; status, stdout and stderr of each."""
    done = subprocess.run(
        [sys.executable, "-c", LOOP],
        input=json.dumps([(str(folder), words) for folder, words in lines]),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [(status, out, err) for status, out, err in json.loads(done.stdout.splitlines()[-1])]
