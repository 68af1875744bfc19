"""The same as sentences."""
