"""Pure functions: targets, losses, schedules, statistics. No I/O, no state."""
