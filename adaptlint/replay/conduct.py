"""A replay from a report to a marked report: plan, launch, record, mark."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from adaptlint.artefacts import Document, read_json
from adaptlint.bases import Base, BaseProblem, load_base
from adaptlint.findings import Asked, Replay, Report, Verdict
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.replay import records
from adaptlint.replay.decide import mark_finding, mark_verdict, stronger
from adaptlint.replay.launch import Ended, Limits, launch
from adaptlint.replay.plan import Passed, Run, Settings, plan
from adaptlint.runtimes.adapters.composing import USUAL, implied_sizes
from adaptlint.runtimes.adapters.composition import Block, read_composition
from adaptlint.runtimes.adapters.forwards import MASKS
from adaptlint.runtimes.peft.plan import default_plan, parse_plan

HUB = "adapters"
COMPOSING = (HUB, "peft")
ROOM = 1_000_000_000  # bytes of a process beyond what --memory counts


class Doors(NamedTuple):
    """What a replay is given from outside: the interpreter, and where to say what."""

    python: str
    say: Callable[[str], object]
    progress: Callable[[int, int, Run], object]
    """Told the number of the run, how many there are, and the run; often while it runs."""


class Replayed(NamedTuple):
    """The marked report, and how it went."""

    report: Report
    entries: list[records.Entry]
    passed: tuple[Passed, ...]
    trouble: str = ""
    interrupted: bool = False


def base_of(report: Report, cache: bool = True) -> Base | BaseProblem:
    """The base that a report is about."""
    asked = report.subject.asked or Asked(report.subject.model_ref)
    return load_base(asked.model, model_class=asked.model_class or report.subject.model_class, cache=cache)


def replay(report: Report, settings: Settings, doors: Doors, file: records.RecordFile, resume: bool) -> Replayed:
    """Run what the plan says, and mark the report. The marks of a replay that Ctrl-C ended are those until then."""
    base = base_of(report)
    planned = plan(report, base, settings)
    passed = tuple(each for each in planned if isinstance(each, Passed))
    runs = [each for each in planned if isinstance(each, Run)]
    subject = records.subject_of(report, base)
    tell(doors.say, runs, passed)
    known = {entry["key"]: entry for entry in file.entries} if resume else {}
    done: list[records.Entry] = []
    interrupted = False
    for number, run in enumerate(runs):
        if decided(report, run.verdict, done):
            continue
        entry = records.entry_of(subject, run, settings)
        before = known.get(entry["key"])
        if before is not None and before["status"] == "done":
            done.append(before)
            continue
        done.append(entry)
        try:
            _conduct(report, run, settings, doors, file, entry, (number, len(runs)))
        except KeyboardInterrupt:
            entry.update(status="interrupted", detail="Ctrl-C ended it")
            file.put(entry)
            interrupted = True
            break
    return Replayed(marked(report, done, subject), done, passed, file.trouble, interrupted)


def tell(say: Callable[[str], object], runs: Sequence[Run], passed: Iterable[Passed]) -> None:
    """What will be run, and what will not."""
    seen: set[int] = set()
    for run in runs:
        then = "if that leaves something open, " if run.verdict in seen else ""
        seen.add(run.verdict)
        say(f"{then}{run.label}: about {run.cost.memory / 1e9:.1f} GB and {run.cost.seconds:.0f} s")
    for each in passed:
        say(f"not run: {each.reason}")


def _conduct(
    report: Report,
    run: Run,
    settings: Settings,
    doors: Doors,
    file: records.RecordFile,
    entry: records.Entry,
    place: tuple[int, int],
) -> None:
    """One run: its entry says "started" before it starts, and grows with every observation."""
    file.put(entry)

    def heard(event: Mapping[str, Any]) -> None:
        records.note(entry, event)
        file.write()
        doors.progress(*place, run)

    limits = Limits(settings.timeout, settings.memory + ROOM if run.device in ("cpu", "meta") else 0)
    ended: Ended = launch(doors.python, job_of(report, run, settings), limits, heard)
    entry.update(status=ended.status, detail=ended.detail, seconds=round(ended.seconds, 2))
    file.put(entry)


def job_of(report: Report, run: Run, settings: Settings) -> dict[str, Any]:
    """What the worker is given: data alone, nothing that it would have to evaluate."""
    asked = report.subject.asked or Asked(report.subject.model_ref)
    conditions = {name: getattr(asked, name) for name in ("batch", "seq", "decoder_seq", "mask")}
    names = names_of(report, report.verdicts[run.verdict])
    composes = report.subject.compose is not None and run.library in COMPOSING
    steps = parse_plan(asked.plan) if asked.plan else default_plan(names, composes)
    setups = composed(report, asked, names) if composes or run.library == HUB else {}
    if setups and run.library != HUB:
        conditions["batch"] = setups["sizes"]["batch"]
    adapters = [
        {"name": name, "folder": each.path, "config": config_in(each.path)}
        for name, each in zip(names, report.subject.adapters, strict=True)
    ]
    return {
        "target": {"library": run.library, "version": run.version},
        "scale": run.scale,
        "layer": run.layer if run.scale == "layer" else None,
        "words": run.words,
        "base": {"config": dict(run.config), "class": run.model_class, "weights": run.weights or None},
        "adapters": adapters,
        "remade": [{"config": each["config"], "shapes": each["shapes"]} for each in run.remade],
        "plan": [{"op": step.op, "name": step.name, "options": list(step.options)} for step in steps],
        "conditions": {"attn": report.subject.attn, **conditions},
        "device": run.device,
        "dtype": run.dtype,
        "memory": settings.memory,
        "threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "invariants": list(settings.invariants),
        **setups,
    }


def names_of(report: Report, verdict: Verdict) -> list[str]:
    """The names that the library loads the adapters under: AdapterHub's may come from their own configs."""
    names = [adapter.name for adapter in report.subject.adapters]
    loaded = [step.adapter for step in verdict.steps if step.op == "load"]
    return loaded if verdict.target == HUB and len(loaded) == len(names) else names


def composed(report: Report, asked: Asked, names: Sequence[str]) -> dict[str, Any]:
    """The compositions of a run and the sizes that they imply; without one each adapter alone."""
    setup = read_composition(report.subject.compose, in_peft=True) if report.subject.compose else None
    implied = implied_sizes(setup) if setup else {}
    sizes = {**USUAL, **implied, **{name: getattr(asked, name) for name in USUAL if getattr(asked, name)}}
    written = [as_data(setup)] if setup else [["Stack", [name], {}] for name in names]
    return {"compositions": written, "sizes": sizes, "masks": list(MASKS[asked.mask]), "fusions": list(asked.fusions)}


def as_data(block: Block) -> Any:
    """A composition as nested lists."""
    if not block.kind:
        return block.name
    return [block.kind, [as_data(child) for child in block.children], dict(block.settings)]


def config_in(folder: str) -> dict[str, Any]:
    """The method's own settings in an AdapterHub adapter; {} where there are none that can be read."""
    document = read_json(f"{folder}/adapter_config.json")
    value = document.value if isinstance(document, Document) else {}
    inner = value.get("config") if isinstance(value, dict) else {}
    return inner if isinstance(inner, dict) else {}


def decided(report: Report, verdict: int, entries: Sequence[records.Entry]) -> bool:
    """True if what was run already decides everything about this verdict."""
    told = report.verdicts[verdict]
    mine = [entry for entry in entries if entry["target"] == {"library": told.target, "version": told.version}]
    if not mine or any(entry["status"] == "refused" for entry in mine):
        return bool(mine)
    marks = [_best([mark_verdict(told, entry) for entry in mine])]
    for finding in report.findings:
        marks.append(_best([mark_finding(finding, told, entry) for entry in mine]))
    return all(mark is None or mark.status in ("confirmed", "refuted") for mark in marks)


def _best(marks: Iterable[Replay | None]) -> Replay | None:
    best: Replay | None = None
    for mark in marks:
        best = stronger(best, mark)
    return best


def marked(report: Report, entries: Iterable[records.Entry], subject: Mapping[str, Any]) -> Report:
    """The report with what the entries say; those about other adapters, bases or conditions say nothing."""
    same = json.dumps(subject, sort_keys=True)
    mine = [entry for entry in entries if json.dumps(entry["subject"], sort_keys=True) == same]
    findings = list(report.findings)
    verdicts: list[Verdict] = []
    for verdict in report.verdicts:
        its = [entry for entry in mine if entry["target"]["library"] == verdict.target]
        best = _best(mark_verdict(verdict, entry) for entry in its)
        verdicts.append(verdict._replace(replay=best or verdict.replay))
        for place, finding in enumerate(findings):
            found = _best(mark_finding(finding, verdict, entry) for entry in its)
            stood = finding.replay if finding.replay.status != "not-run" else None
            findings[place] = finding._replace(replay=stronger(stood, found) or finding.replay)
    return report._replace(verdicts=tuple(verdicts), findings=tuple(findings))
