"""The supervisor: asks, reports, prunes, tells."""
