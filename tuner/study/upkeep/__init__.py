"""What is done to a study after its search: copies, repairs, reproductions, notes."""
