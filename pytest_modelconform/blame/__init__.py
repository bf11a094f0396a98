"""Which operator a failure begins at: parts of the model as cases of their own, in the same format and runtime."""
