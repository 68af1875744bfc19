"""Networks whose parameters carry a leading lane axis."""
