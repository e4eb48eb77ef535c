"""The words of this room."""

from __future__ import annotations

from adaptlint.drafts.words import SAFE, UNSAFE
from adaptlint.named_tuple import NamedTuple

SAFETIES = (SAFE, UNSAFE)


class Step(NamedTuple):
    """One repair.

    `safety`: "safe" where the result can only be what was saved, "unsafe" where a person should agree first. `tidy`
    is true where no finding needs to go away for it: the adapter loads as it did.
    """

    kind: str
    safety: str
    summary: str
    about: tuple[str, ...] = ()  # codes of the findings that it takes away
    tidy: bool = False
