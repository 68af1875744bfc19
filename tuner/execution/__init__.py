"""Where trainers live: in this process or in spawned workers."""
