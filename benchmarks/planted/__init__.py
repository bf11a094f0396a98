"""Exporters that get one operator wrong, for `benchmarks/blame.py`: the real ones, given another model than the case's.

Such an exporter finds its operator again in whatever it is given: in the whole model, and in each part of it that a
search makes. It knows it by what the exporters' input set brings it: the same operator, with the same constants and
weights, of the same tensors. So a part that lacks the operator is exported rightly.
"""
