"""Ways to store a model: a module each, a line each in built_in.py."""
