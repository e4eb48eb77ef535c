"""Checks of the config rules."""
