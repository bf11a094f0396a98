"""Pure functions on arrays and trees: are a runtime's outputs the model's? Formulas are in docs/verdicts.md."""

from .difference import Difference, compare_tensor
from .more_noise import with_more_noise
from .noise import make_reference
from .reference import Reference
from .structure import Tree, compare_leaves, compare_structure, flatten

__all__ = [
    "Difference",
    "Reference",
    "Tree",
    "compare_leaves",
    "compare_structure",
    "compare_tensor",
    "flatten",
    "make_reference",
    "with_more_noise",
]
