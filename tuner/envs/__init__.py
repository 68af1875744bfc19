"""From an environment id to an environment, and from observations to network input."""
