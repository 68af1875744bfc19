"""Replay memories for many lanes."""
