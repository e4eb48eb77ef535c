"""What a project sets aside: faults by its ignores, findings by its baseline, severities of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from time import strftime

from adaptlint.catalogue import Rule
from adaptlint.catalogue.rule import is_named
from adaptlint.findings import SEVERITIES, Fault, Finding, IgnoreUse, LedgerLine, Report, Suppressed, Suppression
from adaptlint.hints import Any
from adaptlint.settings.baseline import Baseline, read_baseline
from adaptlint.settings.ignores import Ignore, expired, read_ignores

Ignores = Sequence[Ignore | Mapping[str, Any]]


class Suppressions:
    """The ignores and the baseline of one check; `paths` are the adapters' folders by name, in load order."""

    __slots__ = ("_marks", "_used", "baseline", "ignores", "paths", "severities")

    def __init__(
        self, ignores: Ignores, baseline: Baseline | None, severities: Mapping[str, str], paths: Mapping[str, str]
    ) -> None:
        self.ignores = tuple(i if isinstance(i, Ignore) else read_ignores([i])[0] for i in ignores)
        self.baseline, self.severities, self.paths = baseline, severities, paths
        self._marks: dict[str, Suppression] = {}
        self._used: set[int] = set()

    def parted(self, rule: Rule, groups: Sequence[list[Fault]]) -> list[list[Fault]]:
        """The groups, each parted into what is told and what an ignore sets aside."""
        parts: list[list[Fault]] = []
        for group in groups:
            by_mark: dict[Suppression | None, list[Fault]] = {}
            for fault in group:
                by_mark.setdefault(self._mark(rule, fault), []).append(fault)
            parts += by_mark.values()
        return parts

    def note(self, rule: Rule, group: Sequence[Fault], fingerprint: str) -> None:
        """Remember the mark of the finding that a group has become."""
        mark = self._mark(rule, group[0])
        if mark is not None:
            self._marks[fingerprint] = mark

    def expired(self) -> list[Fault]:
        """Faults for ignores whose day is over."""
        return expired(self.ignores, self.paths)

    def held(self) -> frozenset[str]:
        """What rules about the configuration need."""
        return frozenset({"ignores"} if self.ignores else ())

    def applied(self, report: Report) -> Report:
        """The report with what is set aside apart; verdicts and ledger stay as they are."""
        told, aside = self._sorted_out(report.findings)
        stale = self._stale(report.findings, report.ledger)
        return report._replace(findings=told, suppressed=aside, stale=stale, ignores=self._uses(report.ledger))

    def _uses(self, ledger: Sequence[LedgerLine]) -> tuple[IgnoreUse, ...]:
        """The ignores about these adapters that hold, and all of whose rules were run."""
        from adaptlint.catalogue import load_catalogue

        today = strftime("%Y-%m-%d")
        ran = {line.rule for line in ledger if line.status in ("fired", "passed")}
        uses = []
        for number, ignore in enumerate(self.ignores):
            about = any(ignore._replace(module="").fits([path], "") for path in self.paths.values())
            if not (ignore.holds(today) and about):
                continue
            if {rule.code for rule in load_catalogue() if is_named(rule, ignore.rules)} <= ran:
                uses.append(IgnoreUse(number, ignore.rules, ignore.adapter, number in self._used))
        return tuple(uses)

    def _sorted_out(self, findings: Sequence[Finding]) -> tuple[tuple[Finding, ...], tuple[Suppressed, ...]]:
        """What is told, at the project's own severities, and what is set aside."""
        told: list[Finding] = []
        aside: list[Suppressed] = []
        for finding in findings:
            level = self.severities.get(finding.code) or self.severities.get(finding.name)
            own = finding if level is None else finding._replace(severity=level)
            mark = self._marks.get(finding.fingerprint) or self._known(own)
            told.append(own) if mark is None else aside.append(Suppressed(own, mark))
        return tuple(told), tuple(aside)

    def _stale(self, findings: Sequence[Finding], ledger: Sequence[LedgerLine]) -> tuple[str, ...]:
        """Fingerprints in the baseline of these adapters whose rule was run and did not find them again."""
        if self.baseline is None:
            return ()
        found = {finding.fingerprint for finding in findings}
        ran = {line.rule for line in ledger if line.status in ("fired", "passed")}
        entries = [entry for path in self.paths.values() for entry in self.baseline.of(path)]
        lost = [e["fingerprint"] for e in entries if e["code"] in ran and e["fingerprint"] not in found]
        return tuple(dict.fromkeys(lost))

    def _mark(self, rule: Rule, fault: Fault) -> Suppression | None:
        paths = [self.paths[fault.adapter]] if fault.adapter in self.paths else list(self.paths.values())
        today = strftime("%Y-%m-%d")
        for number, ignore in enumerate(self.ignores):
            if is_named(rule, ignore.rules) and ignore.holds(today) and ignore.fits(paths, fault.module):
                self._used.add(number)
                return ignore.suppression()
        return None

    def _known(self, finding: Finding) -> Suppression | None:
        if self.baseline is None:
            return None
        home = home_of(finding, self.paths)
        known = any(entry["fingerprint"] == finding.fingerprint for entry in self.baseline.of(home))
        return Suppression("baseline", source=self.baseline.path) if known else None


def home_of(finding: Finding, paths: Mapping[str, str]) -> str:
    """The adapter folder that a finding is filed under; what is said of the base stands with the first adapter."""
    return paths.get(finding.adapter) or next(iter(paths.values()))


def suppressions_of(
    ignores: Ignores,
    baseline: str | os.PathLike[str] | None,
    severities: Mapping[str, str],
    paths: Mapping[str, str],
) -> Suppressions:
    """The suppressions of a check. Raises ValueError for what cannot be read."""
    for code, level in severities.items():
        if level not in SEVERITIES:
            raise ValueError(f"the severity of {code} is {', '.join(SEVERITIES)}, not {level!r}")
    known = None if baseline is None else read_baseline(os.fspath(baseline))
    return Suppressions(ignores, known, severities, paths)
