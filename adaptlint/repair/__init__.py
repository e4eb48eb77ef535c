"""Repairs of an adapter: planned on its headers, proved on a copy, written whole or not at all."""

from adaptlint.drafts.words import RepairError
from adaptlint.repair.repairing import Outcome, Wish, repair
from adaptlint.repair.words import SAFETIES, Step

__all__ = ["SAFETIES", "Outcome", "RepairError", "Step", "Wish", "repair"]
