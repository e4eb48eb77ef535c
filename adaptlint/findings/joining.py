"""Reports of many adapters as one, for formats that have room for one alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zlib import adler32, crc32

from adaptlint.findings.report import AdapterSubject, LedgerLine, Report, Subject, Verdict
from adaptlint.findings.words import Finding

STATUSES = ("not-run", "passed", "fired", "crashed")


def joined(reports: Sequence[Report], called: Callable[[str], str]) -> Report:
    """One report with the verdicts and findings of all; `called` makes an adapter's name of its path.

    Fingerprints, which count within a report, get that name mixed in. `reports` holds at least one.
    """
    renamed = [_under_own_name(report, called) for report in reports]
    first = reports[0]
    models = {report.subject.model_ref: None for report in reports}
    subject = Subject(
        next(iter(models)) if len(models) == 1 else f"{len(models)} bases",
        first.subject.model_type if len(models) == 1 else None,
        first.subject.model_class if len(models) == 1 else None,
        first.subject.model_source if len(models) == 1 else None,
        tuple(adapter for report in renamed for adapter in report.subject.adapters),
        first.subject.targets,
        first.subject.attn,
    )
    return Report(
        first.version,
        subject,
        tuple(verdict for report in renamed for verdict in report.verdicts),
        tuple(finding for report in renamed for finding in report.findings),
        _ledger(reports),
        tuple(phase for report in reports for phase in report.phases),
        all(report.unchecked for report in reports),
        sites=tuple(site for report in renamed for site in report.sites),
        suppressed=tuple(row for report in renamed for row in report.suppressed),
    )


def _under_own_name(report: Report, called: Callable[[str], str]) -> Report:
    """The report with its adapter called by its path in the place of `default`."""
    names = {adapter.name: called(adapter.path) for adapter in report.subject.adapters}
    whole = next(iter(names.values()), "")

    def marked(fingerprint: str) -> str:
        text = f"{whole}\0{fingerprint}".encode("utf-8", "surrogatepass")
        return f"{crc32(text):08x}{adler32(text[::-1]):08x}"

    def finding(each: Finding) -> Finding:
        return each._replace(adapter=names.get(each.adapter, whole), fingerprint=marked(each.fingerprint))

    def verdict(each: Verdict) -> Verdict:
        return each._replace(subject=whole, why=tuple(map(marked, each.why)))

    def adapter(each: AdapterSubject) -> AdapterSubject:
        return each._replace(name=names[each.name])

    return report._replace(
        subject=report.subject._replace(adapters=tuple(map(adapter, report.subject.adapters))),
        verdicts=tuple(map(verdict, report.verdicts)),
        findings=tuple(map(finding, report.findings)),
        suppressed=tuple(row._replace(finding=finding(row.finding)) for row in report.suppressed),
        sites=tuple(site._replace(adapter=names.get(site.adapter, whole)) for site in report.sites),
    )


def _ledger(reports: Sequence[Report]) -> tuple[LedgerLine, ...]:
    """Per rule the loudest status of all, and how much was looked at."""
    lines: dict[str, LedgerLine] = {}
    for line in (line for report in reports for line in report.ledger):
        known = lines.get(line.rule)
        if known is None:
            lines[line.rule] = line
            continue
        loud = max(known, line, key=lambda each: STATUSES.index(each.status))
        lines[line.rule] = loud._replace(looked_at=known.looked_at + line.looked_at)
    return tuple(lines.values())
