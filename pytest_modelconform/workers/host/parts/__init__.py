"""A case's model as a list of operators, parts of it as cases of their own, and these as source: what blame tries."""
