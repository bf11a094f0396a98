"""What LiteRT's models are fed with."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_modelconform.workers.python import litert_worker

DETAILS = {"shape_signature": np.array([-1, 3], np.int32), "dtype": np.int32}


def test_integers_are_narrowed_if_they_fit() -> None:
    narrow = litert_worker.suited("args_0", np.array([[1, 2, -3]]), DETAILS)
    assert (narrow.dtype.name, narrow.tolist()) == ("int32", [[1, 2, -3]])
    with pytest.raises(
        ValueError, match="input args_0 has integers that 32 bits don't hold, and the model takes int32"
    ):
        litert_worker.suited("args_0", np.array([[1, 2, 2**31]]), DETAILS)
    # What else doesn't fit is LiteRT's to refuse.
    floats = np.ones((1, 3))
    assert litert_worker.suited("args_0", floats, DETAILS) is floats


@pytest.mark.parametrize("shape", [(2, 4), (3,), (1, 2, 3)])
def test_static_lengths_stay(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"input args_0 has the shape \[.*\], the model takes \[-1, 3\]"):
        litert_worker.suited("args_0", np.zeros(shape, np.int32), DETAILS)
