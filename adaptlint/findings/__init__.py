"""The words that every room may say."""

from adaptlint.findings.folding import fold_paths, number_ranges, path_shape, range_numbers
from adaptlint.findings.report import (
    OUTCOMES,
    SCHEMA_VERSION,
    AdapterSubject,
    LedgerLine,
    Mismatch,
    RaisedError,
    Report,
    StepResult,
    Subject,
    Verdict,
)
from adaptlint.findings.words import (
    CONSEQUENCES,
    SEVERITIES,
    Fact,
    Fault,
    Finding,
    Place,
    Route,
    Suppressed,
    Suppression,
    Where,
)

__all__ = [
    "CONSEQUENCES",
    "OUTCOMES",
    "SCHEMA_VERSION",
    "SEVERITIES",
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
    "StepResult",
    "Subject",
    "Suppressed",
    "Suppression",
    "Verdict",
    "Where",
    "fold_paths",
    "number_ranges",
    "path_shape",
    "range_numbers",
]
