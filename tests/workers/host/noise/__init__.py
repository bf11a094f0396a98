"""Operator noise: formulas, and what must not move."""
