"""A run on the nodes of a Ray cluster: groups of cells as tasks, and everything else as in any run of pytest."""
