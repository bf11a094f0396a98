"""One tensor compared with its reference, as tests of the comparison ask for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_modelconform.compare import Difference, Reference, compare_tensor
from pytest_modelconform.terms.case import Tolerance

Array = np.ndarray[Any, Any]


def check(
    actual: Array, reference: Reference, tolerance: Tolerance | None = None, dtype: str | None = None
) -> Difference:
    return compare_tensor(
        actual, reference, tolerance or Tolerance(), where="output[0]", dtype=dtype or reference.dtype
    )
