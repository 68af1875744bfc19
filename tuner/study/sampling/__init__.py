"""What is tried next: TPE on a bounded history, the other samplers, and what is known before the first trial."""
