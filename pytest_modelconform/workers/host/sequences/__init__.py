"""A case step by step, in eager: which outputs are fed back as which inputs, and the runs that steps are compared with."""
