"""All formats and runtimes over all cases, in steps that survive an interruption: `python -m benchmarks.matrix`."""
