"""The words that every room may say."""

from adaptlint.findings.folding import fold_paths, number_ranges, path_shape, range_numbers, unfold_path
from adaptlint.findings.report import (
    OUTCOMES,
    SCHEMA_VERSION,
    AdapterSubject,
    Asked,
    LedgerLine,
    Mismatch,
    RaisedError,
    Report,
    StepResult,
    Subject,
    Verdict,
)
from adaptlint.findings.words import CONSEQUENCES, SEVERITIES, Fact, Fault, Finding, Place, Replay, Route, Where

__all__ = [
    "CONSEQUENCES",
    "OUTCOMES",
    "SCHEMA_VERSION",
    "SEVERITIES",
    "AdapterSubject",
    "Asked",
    "Fact",
    "Fault",
    "Finding",
    "LedgerLine",
    "Mismatch",
    "Place",
    "RaisedError",
    "Replay",
    "Report",
    "Route",
    "StepResult",
    "Subject",
    "Verdict",
    "Where",
    "fold_paths",
    "number_ranges",
    "path_shape",
    "range_numbers",
    "unfold_path",
]
