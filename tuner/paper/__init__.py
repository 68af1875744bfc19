"""What a publication needs of a study or a comparison: figures, tables, methods, references, raw data."""
