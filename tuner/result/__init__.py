"""What was found: plain tables, without Optuna."""
