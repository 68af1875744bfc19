"""From a database to plain tables."""
