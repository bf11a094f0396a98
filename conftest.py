"""For the package's own tests: pytest's fixture that runs pytest."""

pytest_plugins = ["pytester"]
