"""Many runs as one stacked network."""
