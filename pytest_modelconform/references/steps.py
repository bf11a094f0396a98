"""From the case host's chains to the references that steps elsewhere are compared with. docs/verdicts.md."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from ..terms.wording import input_name
from . import from_runs
from .content import Steps
from .model_check import ModelFault

Kind = TypeVar("Kind", bound=Steps)
_MOST_NAMED = 6


def make(folder: Path, content: Kind) -> Kind:
    """Turn the runs that the case host left in `folder` into references, a set of them for each step.

    Returns the content with further `notes`. Raises ModelFault for a case whose steps can't be compared with.
    """
    content = from_runs.make(folder, content)
    if not content.lost:
        return content
    names = {leaf.path: leaf.name for leaf in content.exported}
    said = [names.get(path) or input_name(path) for path in content.lost]
    more = f" and {len(said) - _MOST_NAMED} more" if len(said) > _MOST_NAMED else ""
    listed = ", ".join(said[:_MOST_NAMED]) + more
    if len(said) == len(content.wires) and not content.blind_ok:
        raise ModelFault(
            f"the last step gives the same without what is fed back to it ({listed}), so that a runtime that loses its "
            "state would pass. Use other weights (`model=lambda: generic_weights(Net(…))`), other inputs or more "
            'steps, or say why it is right: Case(blind_ok="why")'
        )
    note = (
        f"can't see {len(said)} of the {len(content.wires)} tensors that are fed back: the last step gives the same "
        f"where they are zero ({listed})"
    )
    return replace(content, notes=[*content.notes, note])
