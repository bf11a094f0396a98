"""Faults that nobody thought of one by one: case files and command lines, drawn by hypothesis."""
