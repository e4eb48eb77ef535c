"""One report per adapter, and one exit status for all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from adaptlint.engine import check
from adaptlint.findings import Report
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.scanning.basing import BaseChoice, choose_base
from adaptlint.scanning.finding import adapter_folders
from adaptlint.scanning.manifest import ENDINGS, read_manifest
from adaptlint.settings import Settings
from adaptlint.settings.globs import covers, inside

BASE_RULES = ("AL901", "AL902")
"""What is said of a base that is not there, or that only the extra `models` could build."""


class Job(NamedTuple):
    """An adapter folder and the base that it is held against; `lenient`: a missing base is worth a note only."""

    adapter: str
    base: BaseChoice
    lenient: bool


class Scanned(NamedTuple):
    """What came of a job."""

    job: Job
    report: Report


def jobs_of(paths: Iterable[str], settings: Settings, base: str | None = None, strict: bool = False) -> list[Job]:
    """A job for every adapter folder at or below `paths`, and for every line of those that are manifests.

    Raises ValueError for a path that is neither a folder nor a manifest that can be read.
    """
    exclude = settings.get("exclude")
    strict = strict or bool(settings.get("require-base"))
    given: dict[str, str | None] = {}
    for path in paths:
        if path.endswith(ENDINGS):
            listed = read_manifest(path)
            given.update((os.path.normpath(a), b) for a, b in listed if not _excluded(a, exclude, settings.root))
        elif os.path.isdir(path):
            given.update((os.path.normpath(found), None) for found in adapter_folders(path, exclude, settings.root))
        else:
            raise ValueError(f"{path} is neither a folder nor a manifest ({' or '.join(ENDINGS)})")
    chosen = [(adapter, choose_base(adapter, settings, told or base)) for adapter, told in given.items()]
    return [Job(adapter, choice, not (strict or choice.certain)) for adapter, choice in chosen]


def scan(jobs: Sequence[Job], arguments: Mapping[str, Any]) -> Iterator[Scanned]:
    """The report of every job in turn; `arguments` are further ones of `adaptlint.check`."""
    severities = arguments.get("severities") or {}
    for job in jobs:
        levels = {**dict.fromkeys(BASE_RULES, "note"), **severities} if job.lenient else severities
        yield Scanned(job, check(job.base.ref, job.adapter, **{**arguments, "severities": levels}))


def status_of(scanned: Sequence[Scanned], fail_on: str, allow_nothing: bool = False) -> int:
    """The exit status: 4 ours crashed, 1 findings, 3 nothing could be checked (0 if that is allowed), else 0."""
    if any(done.report.crashed for done in scanned):
        return 4
    if any(done.report._replace(unchecked=False).exit_code(fail_on) for done in scanned):
        return 1
    nothing = all(done.report.unchecked for done in scanned)
    return 3 if nothing and not allow_nothing else 0


def _excluded(path: str, exclude: Sequence[str], root: str) -> bool:
    return any(covers(pattern, inside(root, path)) for pattern in exclude)
