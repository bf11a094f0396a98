"""The code of worker processes: case hosts, converters and runtimes, on the other side of the wire."""
