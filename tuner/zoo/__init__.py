"""RL Zoo's YAML and our own, both ways."""
