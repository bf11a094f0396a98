"""What outputs are compared with, and whether a model is fit to be compared with."""
