"""A case's model as a list of operators, and parts of it as cases of their own: what blame tries."""
