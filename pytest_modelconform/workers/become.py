"""Become a worker in another language: `python become.py PROGRAM ARGUMENT…`. Standard library only, Python 3.8.

Node can neither ask the kernel to be killed with its parent nor move a descriptor. Both outlive exec: this does them
and then is that program. Its environment says where the wire is (MODELCONFORM_WIRE) and which Python this was.
"""

import importlib.util
import os
import sys

WIRE = "MODELCONFORM_WIRE"
PYTHON = "MODELCONFORM_PYTHON"


def main() -> None:
    """Never returns."""
    spec = importlib.util.spec_from_file_location("loop", os.path.join(os.path.dirname(__file__), "loop.py"))
    assert spec is not None
    assert spec.loader is not None
    loop = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loop)
    environment = dict(os.environ)
    loop.die_with_parent()
    wire = os.dup(1)
    os.set_inheritable(wire, True)
    os.dup2(2, 1)
    environment.update({WIRE: str(wire), PYTHON: sys.executable})
    os.execvpe(sys.argv[1], sys.argv[1:], environment)


if __name__ == "__main__":
    main()
