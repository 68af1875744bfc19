"""Studies in an RDB; the only package that imports Optuna."""
