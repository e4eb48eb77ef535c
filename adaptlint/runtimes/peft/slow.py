"""Patterns of the config on which PEFT's own `re` would backtrack for seconds to years."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adaptlint.bases import Base
from adaptlint.findings import Fault
from adaptlint.hints import Any
from adaptlint.patterns import compile_pattern, has_repeats
from adaptlint.runtimes.peft.pattern_keys import PATTERNS, SEGMENT, SUFFIX
from adaptlint.runtimes.peft.settings import Settings

FORMS = {
    "target_modules": "{}",
    "exclude_modules": "{}",
    "modules_to_save": SEGMENT,
    "rank_pattern": SUFFIX,
    "alpha_pattern": SUFFIX,
}


def slow_patterns(settings: Settings, base: Base) -> Iterator[Fault]:
    """One fault for each pattern that takes too many steps on some module path of this base."""
    paths: list[str] = []
    for field, form in FORMS.items():
        for pattern in _patterns(settings[field], form):
            from adaptlint.patterns.backtracking import backtracks_on

            paths = paths or list({re.sub(r"\d+", "0", module.path): module.path for module in base.modules}.values())
            source = form.format(pattern)
            path = backtracks_on(source, paths)
            if path is not None and compile_pattern(source).is_linear:  # others are told as not evaluated
                facts = {"field": field, "pattern": pattern[:200], "path": path}
                yield Fault("pattern-backtracks", at=settings.where(field), facts=facts)


def _patterns(value: Any, form: str) -> list[str]:
    """The patterns with repeats in one field: the string itself, or each name where names are patterns too."""
    if isinstance(value, str):
        found = [value] if form == "{}" else []
    else:
        found = [str(name) for name in value] if isinstance(value, (list, dict)) and form != "{}" else []
    with_repeats = [pattern for pattern in found if has_repeats(pattern)]
    return with_repeats if len(with_repeats) <= PATTERNS else []  # so many are not evaluated
