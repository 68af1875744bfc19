"""RunSpec in, evaluation points and an outcome out."""
