"""Stand-alone scripts that show a failure in the upstream project's own API, for `modelconform repro`.

A script is put together (script.py) from `parts`: small modules that import nothing of ours but other parts. A format
or runtime module names its part in REPRO.
"""
