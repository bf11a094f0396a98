"""What a converter that quantises sees of a case: its own input sets, by the names of the graph's inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..references.prepared import Prepared
from ..terms.signature import Signature
from . import pairs
from .answers import UnsuitableInputs, run_request, static_conflict


def calibration(signature: Signature, prepared: Prepared, folder: Path) -> list[dict[str, Any]]:
    """For each input set of the case's own that the artifact takes: its file, and which tensor feeds which input.

    folder: for files that have to be written otherwise (pairs.py).
    Generated sets hold the same numbers again, or lengths that no user has in mind.
    """
    found = []
    for entry in prepared.sets.values():
        if entry.generated or static_conflict(signature, entry):
            continue
        try:
            feeds = run_request(signature, entry)["feeds"]
        except UnsuitableInputs:
            continue
        found.append({"inputs": str(pairs.inputs_file(entry, signature, folder)), "feeds": feeds})
    return found
