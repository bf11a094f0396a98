"""Runs of a model that its references are made from: eager, in float64, moved by a unit; what they can't see."""
