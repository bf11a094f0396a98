"""The TensorFlow that its runtimes, its converters and the case host of its models have in common."""

from __future__ import annotations

REQUIREMENTS = ("tensorflow-cpu==2.21.0", "keras==3.15.1", "numpy==2.4.6", "protobuf==7.36.2", "ml_dtypes==0.6.0")
