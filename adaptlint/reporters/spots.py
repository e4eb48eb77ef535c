"""Where a finding stands, as tools want it: a file, as a URI or a path, and a line that is always there."""

from __future__ import annotations

import os

from adaptlint.findings import AdapterSubject, Finding, Report
from adaptlint.reporters.showing import shown_path

TEXTS = (".json", ".txt", ".toml", ".md", ".jinja", ".model", ".yaml")  # files whose lines mean something


def file_of(finding: Finding, report: Report) -> str:
    """The file of a finding; of one that has none, the config of its adapter, else what was checked."""
    if finding.where is not None:
        return finding.where.file
    adapters = [known for known in report.subject.adapters if known.name == finding.adapter]
    return config_of(adapters[0]) if adapters else report.subject.model_ref


def config_of(adapter: AdapterSubject) -> str:
    """An adapter's config where it was read, else the adapter's folder."""
    return adapter.path if adapter.format == "unknown" else os.path.join(adapter.path, "adapter_config.json")


def line_of(finding: Finding) -> int:
    """The line of a finding, 1 where none is known or where lines mean nothing."""
    return finding.place.line if finding.place is not None and is_text(file_name(finding)) else 1


def file_name(finding: Finding) -> str:
    """The file as the finding has it; "" where it has none."""
    return finding.where.file if finding.where is not None else ""


def is_text(path: str) -> bool:
    """True where a line and a column lead somewhere; a safetensors header is one line behind eight bytes."""
    return path.endswith(TEXTS)


def below(path: str, here: str) -> str | None:
    """A path from the folder `here` on; a relative path as it is; None for one that lies elsewhere."""
    path = os.path.normpath(path) if path else "."
    if not os.path.isabs(path):
        return None if path == ".." or path.startswith("../") else path
    root = here.rstrip("/") + "/"
    return path[len(root) :] if here and path.startswith(root) else None


def path_from(path: str, here: str) -> str:
    """The path that a tool which runs in the folder `here` opens, fit to be printed."""
    return shown_path(below(path, here) or path, "")
