"""The lab's files are scripts that import each other by name."""

import sys
from pathlib import Path

LAB = Path(__file__).parents[2] / "benchmarks" / "lab"
sys.path.append(str(LAB))
