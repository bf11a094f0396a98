# For tests: it needs no library.
