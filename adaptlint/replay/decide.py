"""Findings and verdicts held against what was observed: confirmed, refuted or inconclusive, and in which words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from adaptlint.findings import Finding, Replay, Verdict, fold_paths, unfold_path
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.replay.observed import UNDECIDED, Observed, is_whole, observed, says
from adaptlint.replay.plan import decides
from adaptlint.replay.unloaded import by_files

Entry = Mapping[str, Any]
# the former is one of the latter, which older releases raise
SAME_ERRORS = {("NoMatchingPeftModuleError", "ValueError")}
LONGEST = 300  # characters of a message that is quoted
LISTED = 3
STOOD_IN = "a reference stood in for flash-attn's kernel"
MORE = re.compile(r" and \d+ more$")
LEFT = ("AL201", "AL204", "AL207", "AL208", "AL210", "AL215", "AL216", "AL217", "AL281", "AL283")
IGNORED = ("AL202", "AL209", "AL282")
NOTHING = ("AL203", "AL206", "AL212", "AL213", "AL280")
OF_LOAD = frozenset({*LEFT, *IGNORED, *NOTHING, "AL205", "AL401", "AL404"})
KINDS = {**dict.fromkeys(LEFT, "left"), **dict.fromkeys(IGNORED, "ignored"), "AL401": "nonfinite", "AL404": "zero"}
OF_LIBRARY = ("AL540", "AL541")
OF_VALUES = ("AL401", "AL404", "AL205")
WITHOUT_EFFECT = ("AL402", "AL403", "AL129")


class Mark(NamedTuple):
    """A status and what was observed."""

    status: str
    said: str


def mark_verdict(verdict: Verdict, entry: Entry) -> Replay:
    """Whether the whole verdict is what was seen."""
    mark = _verdict(verdict, entry, observed(entry))
    if mark.status == "confirmed" and verdict.outcome == "works" and by_reference(entry):
        mark = Mark("inconclusive", f"{mark.said}; {STOOD_IN}")
    return _replay(mark, entry)


def mark_finding(finding: Finding, verdict: Verdict, entry: Entry) -> Replay | None:
    """Whether one finding is what was seen; None for a finding that no run of this verdict decides."""
    if not decides(finding, verdict):
        return None
    seen = observed(entry)
    if not _same_release(verdict, entry):
        return _replay(_other_release(verdict, entry), entry)
    return _replay(_finding(finding, verdict, entry, seen), entry)


def stronger(one: Replay | None, other: Replay | None) -> Replay | None:
    """Of two marks the one that decides; of two that do, the one that refutes."""
    order = ("not-run", "inconclusive", "confirmed", "refuted")
    ranked = sorted((each for each in (one, other) if each is not None), key=lambda each: order.index(each.status))
    return ranked[-1] if ranked else None


def by_reference(entry: Entry) -> bool:
    """Whether something stood in for flash-attn's kernels: what it does so is no proof that all is well."""
    return bool(entry["versions"].get("flash_attn") == "reference")


def _replay(mark: Mark, entry: Entry) -> Replay:
    if by_reference(entry) and mark.status != "inconclusive":
        mark = Mark("inconclusive" if mark.status == "refuted" else mark.status, f"{mark.said}; {STOOD_IN}")
    return Replay(mark.status, entry["device"], {k: str(v) for k, v in entry["versions"].items()} or None, mark.said)


def _same_release(verdict: Verdict, entry: Entry) -> bool:
    found = entry["versions"].get(verdict.target)
    return entry["target"]["library"] == verdict.target and (found is None or found == verdict.version)


def _other_release(verdict: Verdict, entry: Entry) -> Mark:
    library, found = entry["target"]["library"], entry["versions"].get(verdict.target)
    return Mark("inconclusive", f"{library} {found} was run, and this is about {verdict.target} {verdict.version}")


def _verdict(verdict: Verdict, entry: Entry, seen: Observed) -> Mark:
    if not _same_release(verdict, entry):
        return _other_release(verdict, entry)
    if not seen.outcome:
        return Mark("inconclusive", unfinished(entry))
    said = described(seen)
    if verdict.outcome == "unknown":
        return Mark("inconclusive", f"there was no verdict; {said}")
    if verdict.outcome == "fails":
        return _raises(verdict.error, verdict.stage, entry, seen)
    if seen.outcome == "fails":
        real = seen.stage == "load" and entry["scale"] != "tiny"  # at small sizes something else may raise
        return Mark("refuted" if entry["scale"] == "full" or real else "inconclusive", said)
    if not seen.computed and "wrong" not in (verdict.outcome, seen.outcome):
        return Mark("inconclusive", f"{said}; no forward was run")
    agrees = verdict.outcome == seen.outcome or (seen.reasons and seen.reasons <= UNDECIDED)
    told = "confirmed" if agrees else "refuted" if entry["scale"] != "load" and is_whole(entry) else "inconclusive"
    left_open = seen.undecided and (verdict.outcome == "works" or not agrees)
    return Mark("inconclusive" if left_open else told, said)


def _finding(finding: Finding, verdict: Verdict, entry: Entry, seen: Observed) -> Mark:
    """One finding, by what it speaks of."""
    if not seen.outcome:
        return Mark("inconclusive", unfinished(entry))
    rests = finding.fingerprint in verdict.why
    if rests and verdict.outcome == "unknown":
        return Mark("inconclusive", f"there was no verdict; {described(seen)}")
    if finding.code in OF_LIBRARY:
        return _library(finding, seen)
    if rests and verdict.outcome == "wrong" and "checkpoint_shape" in finding.facts:  # ignore_mismatched_sizes
        return _among(finding, seen.left, seen.left, ("keep their initial values", "every tensor arrived"))
    if finding.consequence == "load-fails":
        return _mismatch(finding, seen) or _raises(error_of(finding, verdict), verdict.stage, entry, seen)
    if finding.code in OF_LOAD:
        if not is_whole(entry) and finding.code not in OF_VALUES:
            return Mark("inconclusive", "one layer says nothing of which tensors arrive")
        if entry["scale"] == "load" and finding.code in OF_VALUES and seen.loaded:
            return Mark("inconclusive", "no numbers were loaded")
        if not seen.loaded:
            told = by_files(finding, seen.files, KINDS.get(finding.code, "")) if seen.stage == "load" else None
            return Mark(*told) if told else Mark("inconclusive", f"it raised before: {described(seen)}")
        return _of_load(finding, verdict, seen)
    if rests and verdict.outcome == "fails":
        return _raises(error_of(finding, verdict), verdict.stage, entry, seen)
    if seen.outcome == "fails":
        return Mark("inconclusive", f"it raised before: {described(seen)}")
    return _computed(finding, entry, seen)


def _of_load(finding: Finding, verdict: Verdict, seen: Observed) -> Mark:
    """Findings about what arrived where.

    PEFT may spell a tensor of the file otherwise: where its own list is the predicted one, the file's spelling counts.
    """
    if finding.code in NOTHING:
        if seen.effect is False and not seen.left + seen.ignored:
            return Mark("confirmed", described(seen))
        return _any(seen.left + seen.ignored, "did not arrive", "every tensor arrived")
    names, what, none = {
        **dict.fromkeys(LEFT, (seen.left, "keep their initial values", "no parameter keeps its initial value")),
        **dict.fromkeys(IGNORED, (seen.ignored, "end up nowhere", "no tensor of the checkpoint is left over")),
        "AL205": (seen.overwritten, "of the base were overwritten", "the base is as it was"),
        "AL401": (seen.nonfinite, "hold values that are no numbers", "every value is a number"),
        "AL404": (seen.zero, "are zero", "no tensor of the adapter is zero"),
    }[finding.code]
    same = finding.code in IGNORED and {*verdict.unexpected_keys} >= {*names} and bool(names)
    return _among(finding, names, (*names, *verdict.ignored) if same else names, (what, none))


def _computed(finding: Finding, entry: Entry, seen: Observed) -> Mark:
    """Findings that only a forward decides."""
    if not seen.computed and not seen.idle:
        return Mark("inconclusive", described(seen) if seen.undecided else f"{described(seen)}; no forward was run")
    if finding.code in WITHOUT_EFFECT:
        if finding.adapter in seen.idle:
            return Mark("confirmed", f"{finding.adapter} alone gives what the base gives")
        if seen.effect is None:
            return Mark("inconclusive", "whether the adapter changes the output could not be asked")
        said = "the output is the same with the adapter on and off"
        return Mark("refuted", "the adapter changes the output") if seen.effect else Mark("confirmed", said)
    if seen.outcome == "wrong":
        return Mark("confirmed", described(seen))
    whole = is_whole(entry) or entry["target"]["library"] == "adapters"  # another layer of PEFT's may show it
    return Mark("refuted" if whole and seen.computed else "inconclusive", described(seen))


def _library(finding: Finding, seen: Observed) -> Mark:
    """What the library makes of the base itself, whatever becomes of the adapters."""
    if finding.code == "AL541":
        if seen.cached is None:
            return Mark("inconclusive", "the model has no cache that could be asked")
        said = f"a forward leaves {seen.cached} tokens in the cache"
        return Mark("refuted" if seen.cached else "confirmed", said)
    if seen.unchanged is None:
        return Mark("inconclusive", "the model could not be run before and after it was wrapped")
    said = "adapters.init leaves the model's output as it was"
    return Mark("refuted", said) if seen.unchanged else Mark("confirmed", "adapters.init changes the model's output")


def error_of(finding: Finding, verdict: Verdict) -> Any:
    """The error that a finding predicts: the verdict's where it rests on it, else its own."""
    kind, text = finding.facts.get("error_type"), finding.facts.get("error_message")
    if not isinstance(kind, str) or not kind or not isinstance(text, str):
        return verdict.error
    rests = finding.fingerprint in verdict.why and verdict.error is not None and verdict.error.type == kind
    return verdict.error if rests else _Error(kind, text)


def _mismatch(finding: Finding, seen: Observed) -> Mark | None:
    """A size mismatch that the whole message of the load does not name is none; None where that says nothing."""
    key = finding.facts.get("key")
    if "checkpoint_shape" not in finding.facts or not isinstance(key, str) or seen.error is None:
        return None
    _, message = seen.error
    whole = "size mismatch for" in message and not message.endswith("...")
    return Mark("refuted", f"{described(seen)}; {key} is not among them") if whole and key not in message else None


class _Error(NamedTuple):
    type: str
    match: str


def _raises(error: Any, stage: str | None, entry: Entry, seen: Observed) -> Mark:
    """A predicted exception against what was raised, or not."""
    if seen.error is None:
        past = seen.computed if stage not in ("load", None) else seen.loaded
        decided = past and (entry["scale"] in ("full", "tiny", "load") or stage not in ("load", None))
        said = described(seen)
        return Mark("refuted" if decided else "inconclusive", said if seen.undecided else f"nothing was raised: {said}")
    said = described(seen)
    if error is None:
        return Mark("confirmed", said)
    exactly = entry["scale"] in ("full", "load", "layer")
    if _is(seen.error, error, exactly):
        return Mark("confirmed", said)
    for kind, message in seen.before:
        if _is((kind, message), error, exactly):
            return Mark("confirmed", f"{kind}: {' '.join(message.split())[:LONGEST]}; while that was handled, {said}")
    return Mark("inconclusive", f"another error was raised: {said}")


def _is(raised: tuple[str, str], error: Any, exactly: bool) -> bool:
    """Whether an exception is the predicted one."""
    kind, message = raised
    alike = kind == error.type or (kind, error.type) in SAME_ERRORS or (error.type, kind) in SAME_ERRORS
    return alike and says(message, error.match, exactly)


def _among(finding: Finding, names: Sequence[str], known: Sequence[str], words: tuple[str, str]) -> Mark:
    """A finding about tensors against those that were seen to be so, `known` being all their names.

    `words` say what is true of them, and what is true where there are none.
    """
    what, none = words
    if not names:
        return Mark("refuted", none)
    modules = [path for part in MORE.sub("", finding.module).split(", ") if part for path in unfold_path(part)]
    bare = {plain(name, finding.adapter) for name in known}
    missed = [module for module in modules if not any(f".{module}." in f".{name}." for name in bare)]
    key = finding.facts.get("key")
    if len(missed) == len(modules) and modules and not (isinstance(key, str) and plain(key, finding.adapter) in bare):
        return Mark("refuted", f"others {what}, none of {_listed(modules)}: {_listed(names)}")
    if missed:
        return Mark("inconclusive", f"{_listed(names)} {what}, but not all of {_listed(modules)}")
    return Mark("confirmed", f"{_listed(names)} {what}")


def _any(names: Sequence[str], what: str, none: str) -> Mark:
    return Mark("confirmed", f"{_listed(names)} {what}") if names else Mark("refuted", none)


def plain(name: str, adapter: str) -> str:
    """A parameter's name without what loading puts into it: the adapter's name before or behind the last part."""
    bare = f"{name}.".replace(f".{adapter}.", ".") if adapter else f"{name}."
    return bare[:-1].removesuffix(".weight")


def _listed(names: Sequence[str]) -> str:
    folded = fold_paths(names)
    rest = len(folded) - LISTED
    return ", ".join(folded[:LISTED]) + (f" and {rest} more" if rest > 0 else "")


def described(seen: Observed) -> str:
    """What was seen, in a line."""
    if seen.error is not None:
        kind, message = seen.error
        text = " ".join(message.split())
        return f"{kind} at {seen.stage}: {text[:LONGEST]}{'...' if len(text) > LONGEST else ''}"
    parts = [f"{len(seen.left)} parameters keep their initial values"] if seen.left else []
    parts += [f"{len(seen.ignored)} tensors end up nowhere"] if seen.ignored else []
    parts += [f"{len(seen.overwritten)} tensors of the base were overwritten"] if seen.overwritten else []
    parts += [f"{len(seen.nonfinite)} tensors hold values that are no numbers"] if seen.nonfinite else []
    parts += ["the output is the same with the adapter on and off"] if seen.effect is False else []
    parts += ["adapters.init changes the model's output"] if seen.unchanged is False else []
    parts += [f"{', '.join(seen.idle)} alone gives what the base gives"] if seen.idle else []
    parts += [f"it cannot be told whether it is right: {seen.undecided}"] if seen.undecided else []
    parts += ["a step did not leave what it should"] if "not-as-meant" in seen.reasons else []
    parts += list(seen.why[:LISTED]) + list(seen.broken)
    return "; ".join(parts) or ("it loaded and ran as saved" if seen.computed else "it loaded as saved")


def unfinished(entry: Entry) -> str:
    """Why a run decided nothing."""
    if entry["status"] == "done":
        if entry["base"].get("artefact"):
            error = entry["base"]["error"]
            return (
                f"the tiny base does not run without an adapter either: {error['type']}: {error['message'][:LONGEST]}"
            )
        artefact = next((row for row in entry["steps"] if row.get("artefact")), None)
        return "this cannot be loaded on meta" if artefact else "the run saw nothing that would decide it"
    return f"{entry['status']}: {entry['detail']}"
