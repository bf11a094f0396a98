"""Faults for `benchmarks/detection.py`: made in real artifacts and runtimes, judged by the plugin's own functions."""
