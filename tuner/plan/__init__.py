"""From a recipe to a complete plan; nothing is written."""
