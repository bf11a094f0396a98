"""How entries of the cache get from one node to another: through Ray's object store, or by a folder that both see.

    python -m benchmarks.cluster.artifacts [FOLDER]

It begins a cluster of two nodes on this machine, whose caches are below FOLDER (a temporary one). Both ways end with
the entry in the second node's cache, since that is where cells look for it; from a shared folder it is copied, as is
what shares no folder. Between two machines the network comes on top, for either way the same bytes.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SIZES = {"100 kB": 100_000, "200 MB": 200_000_000}
TIMES = 5


class Holder:
    """The node that has an entry."""

    def entry(self, folder: str, name: str) -> Iterator[object]:
        from pytest_modelconform.cluster.exchange import pieces

        yield from pieces(Path(folder), "artifacts", name)


class Taker:
    """The node that wants it."""

    def sent(self, holder: Any, folder: str, other: str, name: str) -> float:
        import ray

        from pytest_modelconform.cluster.exchange import take

        begin = time.perf_counter()
        found = holder.entry.options(num_returns="streaming").remote(other, name)
        assert take(map(ray.get, found), Path(folder), "artifacts", name)
        return self._ended(begin, folder, name)

    def copied(self, holder: Any, folder: str, other: str, name: str) -> float:
        begin = time.perf_counter()
        shutil.copytree(Path(other, "artifacts", name), Path(folder, "artifacts", name))
        return self._ended(begin, folder, name)

    @staticmethod
    def _ended(begin: float, folder: str, name: str) -> float:
        seconds = time.perf_counter() - begin
        shutil.rmtree(Path(folder, "artifacts", name))
        return seconds


def main(folder: Path) -> None:
    # Ray's own folder: the paths of its sockets have to be short.
    temporary = Path(f"/tmp/ray-{os.getpid()}")
    temporary.mkdir()
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(temporary), "RAY_worker_niceness": "0"}
    import ray
    from ray.cluster_utils import Cluster
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    one, two = folder / "one", folder / "two"
    for cache in (one, two):
        (cache / "artifacts").mkdir(parents=True)
    for name, size in SIZES.items():
        (one / "artifacts" / name).mkdir()
        (one / "artifacts" / name / "model").write_bytes(os.urandom(size))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 200 * 2**20})
    cluster.add_node(num_cpus=1, object_store_memory=200 * 2**20)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    first, second = (NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in ray.nodes())
    holder = ray.remote(Holder).options(scheduling_strategy=first).remote()
    taker = ray.remote(Taker).options(scheduling_strategy=second).remote()
    try:
        for name in SIZES:
            for way in ("sent", "copied"):
                ask: Callable[..., Any] = getattr(taker, way).remote
                seconds = [ray.get(ask(holder, str(two), str(one), name)) for _ in range(TIMES + 1)][1:]
                median, most = statistics.median(seconds), max(seconds)
                print(f"{name} {way}: {median * 1000:.1f} ms ({most * 1000:.1f} at the most)")
    finally:
        ray.shutdown()
        cluster.shutdown()
        shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            main(Path(name))
