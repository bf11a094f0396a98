"""pytest-modelconform: which export of a PyTorch model runs where, and are the numbers still the model's?"""

from .terms.case import Case, Tolerance, Train, generic_weights
from .terms.sequence import Sequence
from .terms.version import __version__

__all__ = ["Case", "Sequence", "Tolerance", "Train", "__version__", "generic_weights"]
