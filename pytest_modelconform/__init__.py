"""pytest-modelconform: which export of a PyTorch model runs where, and are the numbers still the model's?"""

from .terms.case import Case, Tolerance, Train, generic_weights
from .terms.exports import Export
from .terms.operators import Operators
from .terms.sequence import Sequence
from .terms.version import __version__

__all__ = ["Case", "Export", "Operators", "Sequence", "Tolerance", "Train", "__version__", "generic_weights"]
