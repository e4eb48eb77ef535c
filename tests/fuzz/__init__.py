"""Fuzzing of the doors through which strangers' bytes come in."""
