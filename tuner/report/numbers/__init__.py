"""What the report says, as numbers."""
