#!/bin/sh
# The C++ compiler of tests that are not marked as `compiles`: see tests/conftest.py.
echo "this test compiles C++: mark it with pytest.mark.compiles" >&2
exit 1
