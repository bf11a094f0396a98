"""expected.toml as text and rules: which failures are known, and why. Pure functions."""
