"""Stable-Baselines3 as a trainer."""
