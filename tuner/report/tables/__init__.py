"""The same as rows."""
