"""How a case is trained in eager: data, loop, checkpoints, and the trainings that references are made from."""
