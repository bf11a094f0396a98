"""What a user waits for, measured in one run beside the plain script and other tools: `python -m benchmarks.speed`."""
