"""The study's rows: buffered, spooled, locked. Knows no recipe and no search."""
