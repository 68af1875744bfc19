"""How sure the intervals and bands that are printed are, where nobody asks for another level."""

#: Confidence of all intervals.
CONFIDENCE = 0.95
