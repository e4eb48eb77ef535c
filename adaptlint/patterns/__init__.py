"""Patterns by strangers: what Python's `re` would say of a name, found within bounds."""

from adaptlint.patterns.bounds import UnboundedPattern
from adaptlint.patterns.engine import Pattern, compile_pattern, has_repeats, is_plain, prepare_together

__all__ = ["Pattern", "UnboundedPattern", "compile_pattern", "has_repeats", "is_plain", "prepare_together"]
