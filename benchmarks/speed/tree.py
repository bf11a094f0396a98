"""Runs a command and writes to a file what it and all that it starts take: wall and processor time, in seconds.

On Linux orphans come back to this process, so that what a killed worker leaves behind counts, too.

    python tree.py RESULT COMMAND [ARGUMENT ...]
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

# Seconds that orphans may take to end after the command has.
_LIMIT = 10.0


def main() -> int:
    if sys.platform == "linux":
        set_child_subreaper = 36  # PR_SET_CHILD_SUBREAPER
        ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)
    begin = time.monotonic()
    status = subprocess.run(sys.argv[2:], check=False).returncode
    wall = time.monotonic() - begin
    while time.monotonic() < begin + wall + _LIMIT:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.05)
        except ChildProcessError:
            break
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = {"wall": wall, "core_seconds": usage.ru_utime + usage.ru_stime, "status": status}
    Path(sys.argv[1]).write_text(json.dumps(result))
    return status


if __name__ == "__main__":
    sys.exit(main())
