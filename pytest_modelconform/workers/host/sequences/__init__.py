"""A case step by step, in eager: what is fed back, and the runs that steps elsewhere are compared with."""
