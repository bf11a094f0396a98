"""The case host: imports case files, builds models, runs them in eager and exports them."""
