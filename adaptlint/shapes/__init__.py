"""Symbolic shapes: dims as expressions over named sizes, and who said each size."""

from adaptlint.shapes.expression import Unevaluable, evaluate
from adaptlint.shapes.signature import Conflict, Signature

__all__ = ["Conflict", "Signature", "Unevaluable", "evaluate"]
