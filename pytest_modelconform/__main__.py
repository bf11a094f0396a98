"""`python -m pytest_modelconform` is the `modelconform` command."""

import sys

from .commands.cli import main

sys.exit(main())
