"""Symbolic shapes: dims as expressions over named sizes, and who said each size."""

from adaptlint.shapes.signature import Conflict, Signature

__all__ = ["Conflict", "Signature"]
