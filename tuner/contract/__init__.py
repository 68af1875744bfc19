"""The seam between training and search: what a run is, what it reports, how it ends."""
