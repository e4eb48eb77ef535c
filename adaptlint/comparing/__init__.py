"""Two adapters or two bases held against each other: what a change of one for the other breaks."""

from adaptlint.comparing.comparing import compare
from adaptlint.comparing.words import CATEGORIES, Comparison, Difference

__all__ = ["CATEGORIES", "Comparison", "Difference", "compare"]
