"""A JSON report read back: the inverse of `Report.to_dict`, for what a replay and a reporter need of it."""

from __future__ import annotations

from collections.abc import Mapping

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
from adaptlint.findings.words import CONSEQUENCES, SEVERITIES, Finding, Place, Replay, Suppressed, Suppression, Where
from adaptlint.hints import Any

Told = Mapping[str, Any]


class NotAReport(ValueError):
    """A value that is no report of this version; the message says what is wrong with it."""


def report_from(value: object) -> Report:
    """The report that a parsed JSON document holds. Raises NotAReport."""
    if not isinstance(value, dict) or value.get("schema_version") != SCHEMA_VERSION:
        raise NotAReport(f"it is no adaptlint report of version {SCHEMA_VERSION}")
    try:
        return _report(value)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise NotAReport(f"it is not as the report's schema says: {type(problem).__name__}: {problem}") from None


def _report(told: Told) -> Report:
    phases = told["timing"]["phases"].items()
    return Report(
        _text(told["tool"]["version"]),
        _subject(told["subject"]),
        tuple(_verdict(each) for each in told["verdicts"]),
        tuple(_finding(each) for each in told["findings"]),
        tuple(
            LedgerLine(_text(line["rule"]), _text(line["status"]), int(line["looked_at"]), line["reason"] or "")
            for line in told["ledger"]
        ),
        tuple((_text(name), float(spent)) for name, spent in phases),
        shapes=told.get("shapes"),
        composition=told.get("composition"),
        suppressed=tuple(_suppressed(each) for each in told.get("suppressed", ())),
        stale=tuple(_text(each) for each in told.get("stale", ())),
    )


def _suppressed(told: Told) -> Suppressed:
    why = told["suppression"]
    words = (_maybe(why[name]) or "" for name in ("reason", "expires", "source"))
    return Suppressed(_finding(told), Suppression(_text(why["by"]), *words))


def _subject(told: Told) -> Subject:
    model, asked = told["model"], told.get("asked")
    adapters = tuple(
        AdapterSubject(
            _text(a["name"]), _text(a["path"]), _text(a["format"]), _maybe(a["method"]), a["rank"], int(a["tensors"])
        )
        for a in told["adapters"]
    )
    return Subject(
        _text(model["ref"]),
        _maybe(model["model_type"]),
        _maybe(model["class"]),
        _maybe(model["source"]),
        adapters,
        tuple(_text(each) for each in told["targets"]),
        _maybe(told["attn"]),
        _maybe(told["compose"]),
        None if asked is None else _asked(asked),
    )


def _asked(told: Told) -> Asked:
    texts = {name: _maybe(told[name]) for name in ("model_class", "task", "transformers", "plan", "mask")}
    numbers = {name: _number(told[name]) for name in ("batch", "seq", "decoder_seq")}
    fusions = tuple(_text(each) for each in told["fusions"])
    return Asked(_text(told["model"]), **texts, **numbers, fusions=fusions, values=_text(told["values"]))  # type: ignore[arg-type]


def _verdict(told: Told) -> Verdict:
    if told["outcome"] not in OUTCOMES:
        raise ValueError(f"outcome {told['outcome']!r}")
    return Verdict(
        _text(told["target"]),
        _text(told["version"]),
        _text(told["transformers"]),
        told["outcome"],
        _maybe(told["stage"]),
        _error(told["error"]),
        tuple(
            StepResult(_text(s["op"]), _text(s["adapter"]), _text(s["outcome"]), _maybe(s["stage"]), _error(s["error"]))
            for s in told["steps"]
        ),
        tuple(map(_text, told["missing_keys"])),
        tuple(map(_text, told["unexpected_keys"])),
        tuple(map(_text, told["left_at_init"])),
        tuple(map(_text, told["ignored"])),
        mismatched_keys=tuple(
            Mismatch(_text(m["key"]), _sizes(m["checkpoint_shape"]), _sizes(m["model_shape"]))
            for m in told["mismatched_keys"]
        ),
        warned=bool(told["warned"]),
        why=tuple(_text(each) for each in told["why"]),
        replay=_replay(told.get("replay")),
    )


def _finding(told: Told) -> Finding:
    if told["severity"] not in SEVERITIES or told["consequence"] not in CONSEQUENCES:
        raise ValueError(f"severity {told['severity']!r} with consequence {told['consequence']!r}")
    where, place = _spot(told["where"])
    texts = {name: _text(told[name]) for name in ("code", "name", "severity", "consequence", "message", "help")}
    return Finding(
        code=texts["code"],
        name=texts["name"],
        severity=texts["severity"],
        consequence=texts["consequence"],
        message=texts["message"],
        help=texts["help"],
        adapter=_maybe(told["adapter"]) or "",
        module=_maybe(told["module"]) or "",
        targets=tuple(_text(each) for each in told["targets"]),
        where=where,
        place=place,
        because=tuple((*_known(each["where"]), _text(each["note"])) for each in told["because"]),
        facts=dict(told["facts"]),
        excerpt=_maybe(told["excerpt"]) or "",
        fingerprint=_text(told["fingerprint"]),
        fix=_fix(told["fix"]),
        replay=_replay(told.get("replay")),
    )


def _fix(told: Told | None) -> tuple[str, str] | None:
    return None if told is None else (_text(told["safety"]), _text(told["summary"]))


def _replay(told: Told | None) -> Replay:
    if told is None:
        return Replay()
    versions = told["versions"]
    held = None if versions is None else {_text(name): _text(version) for name, version in versions.items()}
    return Replay(_text(told["status"]), _maybe(told["device"]), held, _maybe(told["observed"]))


def _error(told: Told | None) -> RaisedError | None:
    return None if told is None else RaisedError(_text(told["type"]), _text(told["match"]))


def _known(told: Told | None) -> tuple[Where, Place | None]:
    where, place = _spot(told)
    if where is None:
        raise ValueError("a witness without a place")
    return where, place


def _spot(told: Told | None) -> tuple[Where | None, Place | None]:
    if told is None:
        return None, None
    places = [_number(told[name]) for name in ("line", "column", "start_byte", "end_byte")]
    line, column, start, end = places
    known = line is not None and column is not None and start is not None and end is not None
    place = Place(line, column, start, end) if known else None  # type: ignore[arg-type]
    route = tuple(step if isinstance(step, int) else _text(step) for step in told["route"])
    return Where(_text(told["file"]), route), place


def _sizes(told: object) -> tuple[int, ...]:
    if not isinstance(told, list):
        raise TypeError("a shape that is no list")
    return tuple(int(size) for size in told)


def _text(told: object) -> str:
    if not isinstance(told, str):
        raise TypeError(f"{told!r:.40} where a text belongs")
    return told


def _maybe(told: object) -> str | None:
    return None if told is None else _text(told)


def _number(told: object) -> int | None:
    if told is None or (isinstance(told, int) and not isinstance(told, bool)):
        return told
    raise TypeError(f"{told!r:.40} where a number belongs")
