"""Programs that execute artifacts: a module each, a line each in built_in.py."""
