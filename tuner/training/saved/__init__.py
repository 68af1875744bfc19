"""Trained models on the disk, and playing them."""
