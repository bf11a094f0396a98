"""The handlers of a converter: a worker that makes a format's artifacts from another's. Parses under Python 3.8."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict

from . import lookups
from .loop import Answer, Handlers, WorkerError

# (folder of the source, its signature, folder to write to) -> the signature of what was written.
Convert = Callable[[str, Dict[str, Any], str], Dict[str, Any]]


def handlers(name: str, version: str, convert: Convert) -> Handlers:
    """The handlers for a converter.

    name, version: of the library that converts. `convert` may change the signature that it is given and return it:
    what a conversion keeps (paths, names, shapes) then stays, what it changes (the file, names, static shapes) is its
    to say. It raises whatever the library raises.
    """

    def do_convert(request: dict[str, Any]) -> Answer:
        begin = time.perf_counter()
        # What is beside the source is not beside what is made of it.
        given = {key: value for key, value in request["signature"].items() if key != "external"}
        signature = convert(request["source"], given, request["folder"])
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
