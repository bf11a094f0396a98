"""What tests of the adversary share: its kernel is compiled in a cache of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.strangers import accumulate


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELCONFORM_CACHE", str(tmp_path_factory.mktemp("cache")))
        accumulate._library.cache_clear()
        yield
        accumulate._library.cache_clear()
