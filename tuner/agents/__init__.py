"""Learning algorithms: they act, observe and learn; they know neither files nor trials."""
