"""What one entry of a record amounts to: an outcome in the words of a verdict, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping

from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.replay.unloaded import Files

Entry = Mapping[str, Any]

UNSAVED = ("ranknum", "boft_P")  # buffers that no checkpoint carries: that they stay as built is no fault
LOADED_APART = ("prompt_embeddings", "prefix_task_cols", "prefix_task_rows")  # PEFT calls them unexpected all the same
UNDECIDED = frozenset({"base-overwritten", "no-effect"})  # healthy adapters, fresh ones, show these too
FIRST = re.compile(r"\.0\.")
NUMBERS = re.compile(r"\d+")
OF_FORWARD = (1, 2)  # invariants that one ordinary forward breaks; the others take a step that the plan may not name
ENDED = ("done",)


class Observed(NamedTuple):
    """One run as a verdict: `outcome` is works, fails, wrong, or "" where the run did not get so far.

    `before` are exceptions that were being handled when the error was raised. `reasons` are what is wrong though
    nothing was raised, `computed` says whether a forward was run. `undecided` says why nothing tells what a composition
    ought to give, `idle` are its adapters that do nothing alone. `files` are those of a load that raised.
    """

    outcome: str
    error: tuple[str, str] | None = None
    before: tuple[tuple[str, str], ...] = ()
    stage: str = ""
    reasons: frozenset[str] = frozenset()
    left: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    overwritten: tuple[str, ...] = ()
    nonfinite: tuple[str, ...] = ()
    zero: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    effect: bool | None = None
    cached: int | None = None
    unchanged: bool | None = None
    broken: tuple[str, ...] = ()
    undecided: str = ""
    idle: tuple[str, ...] = ()
    files: Files = Files()
    loaded: bool = False
    computed: bool = False


def observed(entry: Entry) -> Observed:
    """Read one entry; what a worker did not get to is absent, never guessed."""
    steps, forward = entry["steps"], entry["forward"]
    whole = is_whole(entry)
    no_numbers = "the base alone answers with what is no number" if forward.get("base_finite") is False else ""
    wrapped = True if any(row.get("unchanged") is True for row in entry["library"]) else None
    seen = Observed(
        "",
        left=()
        if not whole
        else _names(steps, "left_at_init", UNSAVED, also="missing_keys" if entry["scale"] == "load" else ""),
        ignored=_ignored(steps) if whole else (),
        overwritten=_names(steps, "overwritten") if whole else (),
        nonfinite=_at_layer(_names(steps, "nonfinite"), entry),
        zero=_at_layer(_names(steps, "all_zero"), entry),
        why=tuple(reason for row in entry["compositions"] for reason in row.get("why", ())),
        effect=forward.get("effect"),
        cached=next((row["cached"] for row in entry["library"] if isinstance(row.get("cached"), int)), None),
        broken=tuple(row["detail"] for row in entry["invariants"] if row.get("status") == "broken"),
        undecided=next((row["undecided"] for row in entry["compositions"] if row.get("undecided")), no_numbers),
        idle=tuple(name for row in entry["compositions"] for name in row.get("idle", ())),
        unchanged=next((row["unchanged"] for row in entry["library"] if row.get("unchanged") is False), wrapped),
    )
    raised = _raised(entry)
    if raised is not None:
        stage, error = raised
        done = stage == "forward"
        before = tuple((each["type"], each["message"]) for each in error.get("before", ()))
        told = seen._replace(outcome="fails", error=(error["type"], error["message"]), before=before)
        held: Mapping[str, Any] = (
            next((row["file"] for row in steps if isinstance(row.get("file"), dict)), {}) if whole else {}
        )
        files = Files(*(tuple(held.get(name, ())) for name in Files._fields))
        return told._replace(stage=stage, loaded=done, computed=done, files=files)
    if entry["status"] not in ENDED or not (steps or entry["compositions"]):
        return seen
    computed = bool(forward) or any(not row.get("undecided") for row in entry["compositions"])
    reasons = _reasons(entry, seen)
    outcome = "wrong" if reasons - UNDECIDED else "works"
    return seen._replace(outcome=outcome, reasons=reasons, loaded=True, computed=computed)


def is_whole(entry: Entry) -> bool:
    """Whether a run says which tensors arrive: one of a single layer, or of adapters that were made anew, does not."""
    return entry["scale"] in ("load", "full") or (entry["scale"] == "tiny" and entry["target"]["library"] != "adapters")


def _raised(entry: Entry) -> tuple[str, Mapping[str, Any]] | None:
    """The stage and the error of the first thing that raised; an error that only the meta device makes is none."""
    rows = [("load", entry["base"]), *((row.get("op", "load"), row) for row in entry["steps"])]
    rows += [("forward", entry["forward"]), *(("forward", row) for row in entry["compositions"])]
    for stage, row in rows:
        if row.get("outcome") == "raises" and isinstance(row.get("error"), dict) and not row.get("artefact"):
            return stage, row["error"]
    return None


def _names(steps: list[Entry], name: str, but: tuple[str, ...] = (), also: str = "") -> tuple[str, ...]:
    """The names in one list of every step, without those that mean nothing."""
    rows = [key for step in steps for field in filter(None, (name, also)) for key in step.get(field, ())]
    return tuple(dict.fromkeys(key for key in rows if not any(word in key for word in but)))


def _ignored(steps: list[Entry]) -> tuple[str, ...]:
    """AdapterHub's lists have other libraries' prefixes among the unexpected, so what arrived nowhere is listed too."""
    listed = any("ignored" in step for step in steps)
    return _names(steps, "ignored") if listed else _names(steps, "unexpected_keys", LOADED_APART)


def _at_layer(names: tuple[str, ...], entry: Entry) -> tuple[str, ...]:
    """The names as they are in the whole model: in a run of one layer that one is the first."""
    layer = entry.get("layer")
    if entry["scale"] != "layer" or not isinstance(layer, int):
        return names
    return tuple(FIRST.sub(f".{layer}.", name, count=1) for name in names)


def _reasons(entry: Entry, seen: Observed) -> frozenset[str]:
    """What is wrong though nothing was raised."""
    found = {
        "left-at-init": seen.left,
        "ignored": seen.ignored,
        "base-overwritten": seen.overwritten,
        "not-finite": seen.nonfinite,
        "no-effect": seen.effect is False or seen.idle,
        "not-as-meant": any(step.get("as_meant") is False for step in entry["steps"]),
        "composition": seen.why,
        "wrapping": seen.unchanged is False,
        "library": any(row.get("status") == "broken" and row["number"] in OF_FORWARD for row in entry["invariants"]),
        "forward-not-finite": entry["forward"].get("finite") is False and not seen.nonfinite and not seen.undecided,
    }
    return frozenset(name for name, held in found.items() if held)


def says(message: str, match: str, exactly: bool) -> bool:
    """Whether a message has the predicted part; at other sizes (not `exactly`) numbers are not compared."""
    if exactly:
        return match in message
    return NUMBERS.sub("#", match) in NUMBERS.sub("#", message)
