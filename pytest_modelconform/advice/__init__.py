"""What to change in a case whose model can't be built, exported or loaded; from what the libraries say alone."""
