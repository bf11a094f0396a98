"""Converters from one format to another, each a worker."""
