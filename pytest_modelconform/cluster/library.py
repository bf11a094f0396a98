"""Ray, which is imported only here, and only for a run on a cluster: that takes half a second."""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import os
import socket
from typing import Any

# What is said of Ray where it is missing.
MISSING = "a run on a cluster needs Ray: pip install 'pytest-modelconform[ray]'"
_START = "start a cluster by `ray start --head` on a machine, and name it: --address HOST:6379"
# Seconds for the head to answer.
_PATIENCE = 10.0
_SCHEME = "ray://"


class ClusterRefused(Exception):
    """There is no cluster to run on. The message says why and what to do."""


@functools.cache
def ray() -> Any:
    """The package. Raises ClusterRefused where it isn't installed."""
    # Nothing of a run is told to anybody, unless the user wants it so.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ClusterRefused(f"{MISSING} ({error})") from error


def connect(address: str) -> None:
    """Connect to a cluster. address: as Ray has it; "" for the one that RAY_ADDRESS or this machine has, or a new one.

    Raises ClusterRefused.
    """
    if address.startswith(_SCHEME):
        raise ClusterRefused(
            f"--address {address}: Ray's client can't stream results: start the run on a node of the cluster, as with "
            "ray job submit, or name the head node as HOST:6379"
        )
    if why := _unreachable(address):
        raise ClusterRefused(f"nothing answers at {address} ({why}): {_START}")
    # What workers print is not for this terminal, and nobody asked for a dashboard.
    given = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    try:
        ray().init(address=address or None, **given)
    except ClusterRefused:
        raise
    except Exception as error:
        where = f"the Ray cluster {address}" if address else "a Ray cluster"
        raise ClusterRefused(f"{where} can't be reached: {error}; {_START}") from error


def _unreachable(address: str) -> str:
    """Why nobody is at HOST:PORT; "" where somebody is, or it is another kind of address. Ray would try for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        return ""
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:
        return str(error)
    return ""


def disconnect() -> None:
    """End the connection, and a cluster that `connect` has started."""
    with contextlib.suppress(Exception):
        ray().shutdown()
