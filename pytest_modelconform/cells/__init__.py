"""Which cells there are, and the way of one of them from start to end."""
