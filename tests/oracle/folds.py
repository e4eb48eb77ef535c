"""Three folds of the compared cases, by architecture and by kind: a rule fitted to two shows in the third."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from tests.oracle.compare import Row, share

FOLDS = 3


def folds(rows: list[Row]) -> list[str]:
    """Outcome agreement and false alarms of every fold; a name always falls into the same one."""
    lines = []
    for what, name_of in (("architecture", architecture), ("kind", kind)):
        for number in range(FOLDS):
            mine = [row for row in rows if fold(name_of, row) == number]
            alarms = sum(row.false_alarm for row in mine)
            agreement = share(row.outcome for row in mine)
            lines.append(f"fold {number + 1} by {what}: outcome agreement {agreement}, false alarms {alarms}")
    return lines


def architecture(row: Row) -> str:
    """The first part of an id."""
    return row.id.partition(".")[0]


def kind(row: Row) -> str:
    """The last part of an id."""
    return row.kind


def fold(name_of: Callable[[Row], str], row: Row) -> int:
    """The fold of a row by one of its names."""
    return zlib.crc32(name_of(row).encode()) % FOLDS
