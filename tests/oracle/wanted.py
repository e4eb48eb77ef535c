"""A recorded run read as the verdict it calls for.

Layout of a record: `steps` (one per call, each with outcome, error, size_mismatches, warnings, load_result,
left_at_init, base_tensors_overwritten, nonfinite) and `forward` (ok, error as "Type: message", effect).
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

Record = dict[str, Any]

BUFFERS_OF_METHODS = ("ranknum", "boft_P")  # no checkpoint carries them, so that they stay as built is no fault
LOADED_APART = ("prompt_embeddings", "prefix_task_cols", "prefix_task_rows")  # PEFT calls them unexpected all the same
UNDECIDED = {"base-overwritten", "fresh-without-effect"}  # healthy adapters show these too: works and wrong both pass
WARNINGS_OF_MISSING = ("missing adapter keys", "were not initialized")


class Wanted(NamedTuple):
    """The verdict a record calls for; key lists and `warned` are None where the record decides nothing about them."""

    outcome: str  # works, wrong, fails, or either
    accepted: tuple[str, ...]
    type: str = ""
    message: str = ""
    mismatched: tuple[str, ...] = ()
    missing: tuple[str, ...] | None = None
    unexpected: tuple[str, ...] | None = None
    warned: bool | None = None
    reasons: tuple[str, ...] = ()


def wanted(record: Record, fresh: bool) -> Wanted:
    """Read one record; `fresh` says that the folder is as the real library saved it."""
    for step in record["steps"]:
        if step["outcome"] != "ok":
            return raised(step["error"], step.get("size_mismatches"))
    reasons = [reason for step in record["steps"] for reason in step_reasons(step)]
    forward = record.get("forward") or {}
    if forward.get("effect") is False:
        reasons.append("fresh-without-effect" if fresh else "no-effect")
    results = [step.get("load_result") or {} for step in record["steps"]]
    warned = any(says_missing(step) for step in record["steps"])
    common = Wanted(
        "works",
        ("works",),
        missing=tuple(sorted(key for result in results for key in result.get("missing_keys") or ())),
        unexpected=tuple(sorted(key for result in results for key in surplus(result))),
        warned=warned if "left-at-init" in reasons else None,
        reasons=tuple(reasons),
    )
    if forward.get("ok") is False and "task_ids" not in forward["error"]:
        kind, _, message = forward["error"].partition(": ")
        accepted = ("fails", "wrong") if reasons else ("fails",)
        return common._replace(outcome="fails", accepted=accepted, type=kind, message=message)
    if reasons and set(reasons) <= UNDECIDED:
        return common._replace(outcome="either", accepted=("works", "wrong"))
    return common._replace(outcome="wrong", accepted=("wrong",)) if reasons else common


def raised(error: Record, sizes: list[tuple[str, list[int], list[int]]] | None = None) -> Wanted:
    """The verdict for a run that ended in an exception; `sizes` lists its mismatches where the message was cut."""
    message = error["message"]
    listed = [key for key, _, _ in sizes] if sizes else re.findall(r"size mismatch for (\S+?):", message)
    mismatched = sorted(set(listed))
    return Wanted("fails", ("fails",), error.get("type") or error["mro"][0], message, tuple(mismatched))


def surplus(result: Record) -> list[str]:
    """The keys of the checkpoint that ended nowhere."""
    return [key for key in result.get("unexpected_keys") or () if not key.endswith(LOADED_APART)]


def step_reasons(step: Record) -> list[str]:
    """Why a step that raised nothing is still not what was saved."""
    result = step.get("load_result") or {}
    left = step.get("left_at_init", result.get("missing_keys")) or ()
    reasons = {
        "left-at-init": [name for name in left if not any(word in name for word in BUFFERS_OF_METHODS)],
        "ignored": surplus(result),
        "base-overwritten": step.get("base_tensors_overwritten"),
        "non-finite": step.get("nonfinite"),
        "computes-otherwise": step.get("computes_otherwise"),  # than the release that saved the adapter
    }
    return [reason for reason, seen in reasons.items() if seen]


def says_missing(step: Record) -> bool:
    """True if the runtime itself warned that adapter tensors were not loaded."""
    return any(words in str(warning) for warning in step.get("warnings") or () for words in WARNINGS_OF_MISSING)


def without_base_keys(record: Record) -> Record:
    """A record of a release that counts the base's own parameters as missing: only what stayed at init is kept."""
    for step in record["steps"]:
        if step.get("load_result"):
            step["load_result"]["missing_keys"] = []
    return record
