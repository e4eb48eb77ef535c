"""The words that every room may say."""

from adaptlint.findings.folding import fold_paths, number_ranges, path_shape, range_numbers
from adaptlint.findings.report import (
    OUTCOMES,
    SCHEMA_VERSION,
    SITE_STATES,
    AdapterSubject,
    LedgerLine,
    Mismatch,
    RaisedError,
    Report,
    SiteState,
    StepResult,
    Subject,
    Verdict,
)
from adaptlint.findings.words import CONSEQUENCES, SEVERITIES, Fact, Fault, Finding, Place, Route, Where

__all__ = [
    "CONSEQUENCES",
    "OUTCOMES",
    "SCHEMA_VERSION",
    "SEVERITIES",
    "SITE_STATES",
    "AdapterSubject",
    "Fact",
    "Fault",
    "Finding",
    "LedgerLine",
    "Mismatch",
    "Place",
    "RaisedError",
    "Report",
    "Route",
    "SiteState",
    "StepResult",
    "Subject",
    "Verdict",
    "Where",
    "fold_paths",
    "number_ranges",
    "path_shape",
    "range_numbers",
]
