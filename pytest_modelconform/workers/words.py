"""What a library prints instead of raising: caught, so that an error can quote it."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


class Words:
    """What was said: `text` once the block has ended."""

    text = ""

    def last(self, lines: int = 3) -> str:
        """The last lines, in one."""
        return " / ".join(line.strip() for line in self.text.strip().splitlines()[-lines:])


@contextlib.contextmanager
def caught() -> Iterator[Words]:
    """Catch what is printed to stdout and stderr, from C and C++ too, as long as the block runs; then hand it on."""
    words = Words()
    sys.stderr.flush()
    kept = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
    with tempfile.TemporaryFile() as file:
        try:
            for descriptor, _ in kept:
                os.dup2(file.fileno(), descriptor)
            yield words
        finally:
            sys.stderr.flush()
            for descriptor, saved in kept:
                os.dup2(saved, descriptor)
                os.close(saved)
            file.seek(0)
            words.text = file.read().decode("utf-8", "replace")
            sys.stderr.write(words.text)
