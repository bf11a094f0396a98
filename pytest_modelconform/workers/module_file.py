"""The file that an imported module is from."""

from __future__ import annotations


def file_of(module: object) -> str | None:
    """The path in a module's `__file__`, None where there is none.

    A module that imports others when it is asked for an attribute (SpeechBrain's integrations) isn't asked: what it
    imports may not be installed.
    """
    try:
        found = vars(module).get("__file__")
    except TypeError:  # something else in the place of a module, without a `__dict__`
        found = getattr(module, "__file__", None)
    return found if isinstance(found, str) else None
