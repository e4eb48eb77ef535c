"""Checks of the shape rules."""
