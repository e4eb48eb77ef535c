"""Findings made few enough for a reader with limits: alike ones as one, the most severe first."""

from __future__ import annotations

from collections.abc import Sequence

from adaptlint.findings import SEVERITIES, Finding, path_shape
from adaptlint.named_tuple import NamedTuple


class Merged(NamedTuple):
    """A finding that speaks for `others`: same rule, adapter and severity, modules that differ in layers alone."""

    finding: Finding
    others: tuple[Finding, ...] = ()


def merged(findings: Sequence[Finding], limit: int) -> tuple[list[Merged], int]:
    """At most `limit` of them, in the report's order, and how many findings are left out.

    Up to the limit every finding stands for itself. Beyond it layers are folded, then the least severe are left out.
    """
    if len(findings) <= limit:
        return [Merged(finding) for finding in findings], 0
    groups: dict[tuple[str, str, str, str], list[Finding]] = {}
    for finding in findings:
        key = (finding.code, finding.adapter, finding.severity, path_shape(finding.module)[0])
        groups.setdefault(key, []).append(finding)
    folded = [Merged(group[0], tuple(group[1:])) for group in groups.values()]
    kept = sorted(range(len(folded)), key=lambda n: SEVERITIES.index(folded[n].finding.severity))[:limit]
    rest = sum(1 + len(folded[n].others) for n in set(range(len(folded))) - set(kept))
    return [folded[n] for n in sorted(kept)], rest
