"""The command `modelconform`: a module or a folder a subcommand, a line each in cli.py."""
