"""The version, in a module of its own, so that what is below the package's `__init__` can have it."""

__version__ = "0.1.0"
