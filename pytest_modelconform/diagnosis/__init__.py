"""What the numbers of a mismatch tell of its cause; from arrays alone."""
