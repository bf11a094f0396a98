"""The case that a part of a model is."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_modelconform.terms.case import Case


@dataclass(frozen=True, kw_only=True)
class PartCase(Case):
    """A case whose model and inputs are what they have to be already: no cast, no quantisation.

    Its weights are those of another case, and what this one can't see of them is nobody's question.
    """
