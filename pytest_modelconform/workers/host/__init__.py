"""The case host: imports case files, builds models, runs them in eager and exports them."""

from .. import lookups

# Before anything is imported that a result may depend on. Here for --modelconform-inline, too, which has no start.py.
lookups.watch()
