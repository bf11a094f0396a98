"""A drafted case file is tried before it is written: by the model check, and by torch.export in PyTorch.

In a pytest of its own, in a folder of its own: the verdicts are those that the user will see.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .sources import CantScaffold


def first_that_passes(name: str, drafts: Iterable[str]) -> tuple[str, str]:
    """Of some texts of `name`.py, the first that passes the model check and torch.export, else the model check alone.

    Returns the text, and what torch.export's failure was, if it was one. Raises CantScaffold where none passes the
    model check, with what the first draft failed for.
    """
    kept: tuple[str, str] | None = None
    fault = ""
    for text in drafts:
        eager, exported = _verdicts(name, text)
        if not eager and not exported:
            return text, ""
        if not eager and kept is None:
            kept = text, exported
        fault = fault or eager
    if kept is None:
        raise CantScaffold(fault)
    return kept


def _verdicts(name: str, text: str) -> tuple[str, str]:
    """Faults of the case's model check and of its cell in torch.export; empty where it passes."""
    with tempfile.TemporaryDirectory(prefix="modelconform-new-") as made:
        folder = Path(made)
        (folder / "pytest.ini").write_text("[pytest]\n")
        case, report = folder / f"{name}.py", folder / "report.json"
        case.write_text(text, encoding="utf-8")
        options = ["--modelconform-formats=export", "--modelconform-runtimes=torch", f"--modelconform-json={report}"]
        options.append("--modelconform-blame=off")
        environment = {key: value for key, value in os.environ.items() if key != "PYTEST_ADDOPTS"}
        # A configuration may name a backbone that transformers would download.
        environment["HF_HUB_OFFLINE"] = "1"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "--modelconform", *options, "-p", "no:cacheprovider", case.name],
            cwd=folder,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if not report.exists():
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise CantScaffold(f"the trial run of {case.name} ended with status {done.returncode}: {''.join(said)}")
        cells: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["cells"]
    faults = {cell["format"]: _fault(cell) for cell in cells}
    exported = faults.pop("export", "")
    # What is left is the model check, or a file that can't be collected.
    return "".join(faults.values()), exported


def _fault(cell: dict[str, Any]) -> str:
    if cell["verdict"] in ("pass", "unsupported"):
        return ""
    stage = f" at stage {cell['stage']}" if cell["stage"] else ""
    return f"{cell['verdict']}{stage}: {cell['message']}"
