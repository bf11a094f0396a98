"""Eager variants of a model, by which a mismatch is explained."""
