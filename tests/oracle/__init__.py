"""The project's own comparison of verdicts with what real libraries did."""
