"""Deep Q-learning for K lanes at once: one implementation, of which the ordinary DQN is the case K = 1."""
