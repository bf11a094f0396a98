"""The handlers of a converter: a worker that makes a format's artifacts from another's. Parses under Python 3.8."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List

from . import lookups
from .loop import Answer, Handlers, WorkerError

# (folder of the source, its signature, folder to write to) -> the signature of what was written.
Convert = Callable[[str, Dict[str, Any], str], Dict[str, Any]]
# The same with the arrays of each input set to calibrate with, by the names of the graph's inputs.
Calibrate = Callable[[str, Dict[str, Any], str, List[Dict[str, Any]]], Dict[str, Any]]


def handlers(name: str, version: str, convert: Convert) -> Handlers:
    """The handlers for a converter.

    name, version: of the library that converts. `convert` may change the signature that it is given and return it:
    what a conversion keeps (paths, names, shapes) then stays, what it changes (the file, names, static shapes) is its
    to say. It raises whatever the library raises.
    """
    return _handlers(name, version, lambda request, source, signature, folder: convert(source, signature, folder))


def calibrated(name: str, version: str, convert: Calibrate) -> Handlers:
    """The same for a converter that looks at the case's own input sets, of a format that says CALIBRATES."""

    def with_feeds(request: dict[str, Any], source: str, signature: dict[str, Any], folder: str) -> dict[str, Any]:
        from . import arrays

        feeds = []
        for entry in request["calibration"]:
            found = arrays.read(entry["inputs"])
            feeds.append({graph_name: found[key] for graph_name, key in entry["feeds"]})
        return convert(source, signature, folder, feeds)

    return _handlers(name, version, with_feeds)


def _handlers(name: str, version: str, convert: Callable[..., Dict[str, Any]]) -> Handlers:
    def do_convert(request: dict[str, Any]) -> Answer:
        begin = time.perf_counter()
        # What is beside the source is not beside what is made of it.
        given = {key: value for key, value in request["signature"].items() if key != "external"}
        signature = convert(request, request["source"], given, request["folder"])
        if not isinstance(signature, dict) or "file" not in signature or "layout" not in signature:
            raise WorkerError("a converter has to return the signature of what it wrote, with file and layout")
        seconds = time.perf_counter() - begin
        return {"signature": signature, "seconds": seconds, "packages": lookups.record()}

    return {
        "hello": lambda request: {
            "language": "Python",
            "layout": "flat",
            "name": name,
            "version": version,
            "devices": ["cpu"],
        },
        "convert": do_convert,
    }
