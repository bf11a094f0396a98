"""Operator noise: eager with each operator's result moved by what another faithful arithmetic could have made of it."""
