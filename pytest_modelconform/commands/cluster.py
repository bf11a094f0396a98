"""`modelconform cluster`: a run of pytest's whose cells run on the nodes of a Ray cluster."""

from __future__ import annotations

import argparse

import pytest

EXAMPLES = """\
  modelconform cluster cases/
  modelconform cluster --address 10.0.0.1:6379 cases/ -k resnet --modelconform-html all.html

All other words are pytest's: paths, -k, -m, -x, --modelconform-formats, --junitxml, …

exit status: 0; 1 if a cell is not as expected; 2 after Ctrl-C; 4 if there is no
cluster; all as pytest has it."""

# All but `--address` is handed on.
PASSES_ON = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `modelconform cluster`."""
    text = "HOST:PORT of the cluster's head, or local for a new one on this machine (default: RAY_ADDRESS, else the "
    text += "cluster that runs on this machine, else local)"
    parser.add_argument("--address", default="", metavar="ADDRESS", help=text)


def run(arguments: argparse.Namespace) -> int:
    """The exit status of pytest."""
    from ..cluster.plugin import ClusterPlugin

    # One process collects and reports: `-n` is for one machine. And pytest finds us imported, as plugins are not.
    imported = "ignore:Module already imported so cannot be rewritten"
    words = ["-W", imported, "--modelconform", "-n", "0", *arguments.rest]
    return int(pytest.main(words, plugins=[ClusterPlugin(arguments.address)]))
