"""The process of a user's test, in which exporters run: left as it was, and without what they say."""

from __future__ import annotations

import contextlib
import logging
import random
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def noise_kept() -> Iterator[None]:
    """Keep what exporters and libraries warn of from the test, in which warnings may be errors, and what they log."""
    # The trace, of torch's own, minds no general limit, and pytest shows hundreds of its records.
    before, trace = logging.root.manager.disable, logging.getLogger("torch.__trace")
    was_disabled = trace.disabled
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(max(before, logging.WARNING))
        trace.disabled = True
        try:
            yield
        finally:
            logging.disable(before)
            trace.disabled = was_disabled


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Put the test's random numbers and PyTorch's settings back afterwards: case hosts set them for themselves."""
    import torch

    python, threads, grad = random.getstate(), torch.get_num_threads(), torch.is_grad_enabled()
    dtype = torch.get_default_dtype()
    numpy = sys.modules["numpy"].random.get_state() if "numpy" in sys.modules else None
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            if numpy is not None:
                sys.modules["numpy"].random.set_state(numpy)
            torch.set_num_threads(threads)
            torch.set_default_dtype(dtype)
            torch.set_grad_enabled(grad)
