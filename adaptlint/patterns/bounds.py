"""What a stranger's pattern may cost."""

from __future__ import annotations

PATTERN_LENGTH = 4_000  # characters; longer ones are not evaluated
NAME_LENGTH = 4_000
STEPS = 10_000  # of a backtracking match of one name; a healthy pattern takes some hundreds
RE2_BYTES = 4 << 20
CHILD_SECONDS = 0.5
CHILD_BYTES = 512 << 20  # of address space


class UnboundedPattern(Exception):
    """The pattern could not be evaluated in bounds; the text says which bound."""
