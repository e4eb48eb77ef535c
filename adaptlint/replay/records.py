"""Run records: what was run with what, and what was seen. Written whole after every observation, read with limits."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from adaptlint.artefacts import Malformed, read_json
from adaptlint.artefacts.marks import WEIGHTS, folder_mark
from adaptlint.bases import Base, BaseProblem
from adaptlint.findings import Asked, Report
from adaptlint.hints import Any
from adaptlint.replay.plan import Run, Settings
from adaptlint.tables import write_atomic

FORMAT = "adaptlint run record"
VERSION = 1
Entry = dict[str, Any]
Record = dict[str, Any]
TIMED = ("versions", "base", "step", "forward", "library", "composition", "invariant", "done")
LISTS = ("steps", "library", "fusions", "compositions", "invariants")
BY_EVENT = {
    "step": "steps",
    "library": "library",
    "fusion": "fusions",
    "composition": "compositions",
    "invariant": "invariants",
}
SAID = ("type", "message")
NAMES = ("missing_keys", "unexpected_keys", "left_at_init", "ignored", "overwritten", "nonfinite", "all_zero")
LISTED = (*NAMES, "why", "idle")
KEPT = {
    "seeds": "seeds",
    "tolerance": "tolerance",
    "base": "base",
    "forward": "forward",
    "versions": "versions",
    "environment": "environment",
    "device": "gpu",
}


class RecordProblem(Exception):
    """A record that cannot be used; the message says why."""


def schema_path() -> str:
    """Where the JSON schema of a record lies."""
    return os.path.join(os.path.dirname(__file__), "run-record.schema.json")


def subject_of(report: Report, base: Base | BaseProblem) -> dict[str, Any]:
    """What a run is about, without a path: a record made on one machine is read on another."""
    asked = report.subject.asked or Asked(report.subject.model_ref)
    conditions = {name: getattr(asked, name) for name in ("batch", "seq", "decoder_seq", "mask")}
    config = base.resolved_config if isinstance(base, Base) else {}
    return {
        "base": {
            "model_type": report.subject.model_type,
            "class": report.subject.model_class,
            "config": digest(json.dumps(config, sort_keys=True, default=str).encode()),
        },
        "adapters": [{"name": each.name, "content": folder_mark(each.path)} for each in report.subject.adapters],
        "plan": asked.plan,
        "compose": report.subject.compose,
        "fusions": list(asked.fusions),
        "conditions": {"attn": report.subject.attn, **conditions},
    }


def digest(content: bytes) -> str:
    """A short name for content."""
    from hashlib import blake2b

    return blake2b(content, digest_size=12).hexdigest()


def key_of(subject: Mapping[str, Any], run: Run, settings: Settings) -> str:
    """What a run is found again by, when a replay goes on where it was interrupted."""
    parts = [subject, run.library, run.version, run.scale, run.layer, run.device, run.dtype, list(settings.invariants)]
    parts += [folder_mark(run.weights, WEIGHTS)] if run.weights else []
    return digest(json.dumps(parts, sort_keys=True).encode())


def entry_of(subject: Mapping[str, Any], run: Run, settings: Settings) -> Entry:
    """The entry of a run that is about to start: a replay that is killed leaves it so."""
    return {
        "key": key_of(subject, run, settings),
        "subject": dict(subject),
        "target": {"library": run.library, "version": run.version},
        "scale": run.scale,
        "layer": run.layer if run.scale == "layer" else None,
        "class": run.model_class,
        "device": run.device,
        "dtype": run.dtype,
        "status": "started",
        "detail": "the replay was ended while this ran",
        "seconds": None,
        "peak_memory": None,
        "times": {},
        **{name: {} for name in KEPT.values()},
        **{name: [] for name in LISTS},
    }


def note(entry: Entry, event: Mapping[str, Any]) -> None:
    """Put one observation of a worker into its entry."""
    kind = event["event"]
    told = {name: value for name, value in event.items() if name != "event"}
    at = told.pop("at", None)
    if at is not None and kind in TIMED:
        entry["times"][kind] = at
    if kind in BY_EVENT:
        entry[BY_EVENT[kind]].append(told)
    elif kind in KEPT:
        entry[KEPT[kind]] = told
    elif kind == "done":
        entry["peak_memory"] = told.get("peak_memory")
        if told.get("peak_device_memory") is not None:
            entry["gpu"]["peak_memory"] = told["peak_device_memory"]


class RecordFile:
    """The record as it grows; a disk that is full is told once and stops nothing."""

    def __init__(self, path: str | None, entries: list[Entry]) -> None:
        self.path, self.entries, self.trouble = path, entries, ""

    def put(self, entry: Entry) -> None:
        """Add an entry, or replace the one with its key, and write."""
        self.entries = [each for each in self.entries if each["key"] != entry["key"]] + [entry]
        self.write()

    def write(self) -> None:
        """The whole record, in place of what was there."""
        if self.path is None:
            return
        try:
            if os.path.exists(self.path) and not os.path.isfile(self.path):
                with open(self.path, "w", encoding="utf-8") as stream:  # a device or a pipe is written to, not replaced
                    stream.write(as_text(self.entries))
            else:
                write_atomic(os.path.realpath(self.path), as_text(self.entries).encode())
        except OSError as error:
            self.trouble = f"{self.path} cannot be written: {error.strerror or error}"


def as_text(entries: list[Entry]) -> str:
    """A record as JSON, one line for each observation."""
    from adaptlint import __version__

    head = {"format": FORMAT, "version": VERSION, "tool": {"name": "adaptlint", "version": __version__}}
    return json.dumps({**head, "runs": entries}, indent=1, allow_nan=False) + "\n"


def read_record(path: str) -> list[Entry]:
    """The runs of a record. Raises RecordProblem for a file that is none, or that does not hold what one has."""
    document = read_json(path)
    if isinstance(document, Malformed):
        raise RecordProblem(f"{path} cannot be read as a run record: {document.reason}")
    value = document.value
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise RecordProblem(f"{path} is no run record")
    if value.get("version") != VERSION:
        told = value.get("version")
        raise RecordProblem(f"{path} is a run record of version {told!r}; this adaptlint reads {VERSION}")
    runs = value.get("runs")
    if not isinstance(runs, list) or not all(_is_entry(each) for each in runs):
        raise RecordProblem(f"{path} is a run record whose runs are not as the schema says")
    return runs


def _is_entry(entry: object) -> bool:
    """Whether everything that marks are made of is of its type."""
    if not isinstance(entry, dict) or not isinstance(entry.get("target"), dict):
        return False
    texts = all(isinstance(entry.get(name), str) for name in ("key", "scale", "device", "dtype", "status", "detail"))
    told = all(isinstance(entry.get(name), dict) for name in ("subject", *KEPT.values()))
    if not texts or not told:
        return False
    rows = [row for name in LISTS for row in (entry[name] if isinstance(entry.get(name), list) else [None])]
    parts = [*rows, entry["base"], entry["forward"]]
    return all(isinstance(row, dict) and _is_observation(row) for row in parts)


def _is_observation(row: Mapping[str, Any]) -> bool:
    error = row.get("error")
    if error is not None and not _is_error(error):
        return False
    held = row.get("file", {})
    lists = [row.get(name, []) for name in LISTED] + (list(held.values()) if isinstance(held, dict) else [None])
    measured = "status" not in row or (isinstance(row.get("detail"), str) and isinstance(row.get("number"), int))
    return measured and all(isinstance(each, list) and all(isinstance(name, str) for name in each) for each in lists)


def _is_error(error: object) -> bool:
    if not isinstance(error, dict) or not all(isinstance(error.get(name), str) for name in SAID):
        return False
    before = error.get("before", [])
    return isinstance(before, list) and all(
        isinstance(each, dict) and all(isinstance(each.get(name), str) for name in SAID) for each in before
    )
