"""`python -m tests.families.record`: the shipped tables, learnt from live builds of the installed transformers.

A table is written only after fresh configs, drawn after the learning was done, gave the same records as live builds.
`--write` puts the tables into the package and the list of them into docs/families.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from typing import Any, NamedTuple

from tests.families.config_recording import Failed
from tests.families.live import auto_tables, first_of, quick
from tests.families.page import LEFT_OUT, TABLES
from tests.families.recording import Recording
from tests.families.samples import Unlearnt
from tests.families.space import NoSpace


class Outcome(NamedTuple):
    """What came of one model type."""

    model_type: str
    kinds: list[str]
    table: dict[str, Any] | None
    covered: dict[str, int]
    dropped: dict[str, str]
    why: str
    seconds: float


def recorded(model_type: str, seed: int, verbose: bool = False) -> Outcome:
    """Record one model type."""
    begun = time.monotonic()
    kinds: list[str] = []
    try:
        kinds = list(first_of(auto_tables(model_type)))
        recording = Recording(model_type, seed, verbose)
        covered = recording.run()
        if verbose:
            explorer = recording.explorer
            print(f"  {sorted(explorer.active)}, {len(explorer.trials)} built, {len(explorer.refusals)} refused")
            print(f"  not covered: {recording.uncovered.most_common(12)}")
        return Outcome(model_type, kinds, recording.table, covered, recording.dropped, "", time.monotonic() - begun)
    except Exception as why:
        if not isinstance(why, Failed | NoSpace | Unlearnt):
            why = Failed(f"{type(why).__name__}: {why}"[:200])
        return Outcome(model_type, kinds, None, {}, {}, f"{why}", time.monotonic() - begun)


def model_types() -> list[str]:
    """Every model type that has a causal, masked, seq2seq or image classification class."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    return [name for name in CONFIG_MAPPING_NAMES if any(first_of(auto_tables(name)))]


def main(arguments: list[str]) -> int:
    """Record and print; 0 unless a table could not be written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model_types", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--why", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--keys", action="store_true", help="only what other keys of a config do, into shipped tables")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    with quick():
        for model_type in options.model_types or model_types():
            if options.keys:
                put_keys(model_type, options.seed)
                continue
            outcome = recorded(model_type, options.seed, options.why)
            print(told(outcome), flush=True)
            if options.write:
                write(outcome)
    return 0


def put_keys(model_type: str, seed: int) -> None:
    """Write the part of a shipped table that is about keys that are no fields."""
    path = TABLES / f"{model_type}.json"
    if path.exists():
        table = json.loads(path.read_text(encoding="utf-8"))
        Recording(model_type, seed).of_other_keys(table)
        path.write_text(json.dumps(table, separators=(",", ":")) + "\n", encoding="utf-8")
        print(model_type, {name: values for name, values in table["harmless"].items() if values}, flush=True)


def write(outcome: Outcome) -> None:
    """Put the table into the package, and what has none, with the reason, into the list beside this file."""
    path = TABLES / f"{outcome.model_type}.json"
    left_out: dict[str, Any] = json.loads(LEFT_OUT.read_text(encoding="utf-8")) if LEFT_OUT.exists() else {}
    left_out.pop(outcome.model_type, None)
    if outcome.table is not None:
        TABLES.mkdir(exist_ok=True)
        path.write_text(json.dumps(outcome.table, separators=(",", ":")) + "\n", encoding="utf-8")
        if outcome.dropped:
            left_out[outcome.model_type] = outcome.dropped
    else:
        path.unlink(missing_ok=True)
        left_out[outcome.model_type] = {"": outcome.why}
    LEFT_OUT.write_text(json.dumps(left_out, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def told(outcome: Outcome) -> str:
    """One line about a model type."""
    if outcome.table is None:
        return f"{outcome.model_type} FAILED {outcome.why} ({outcome.seconds:.0f} s)"
    size = len(json.dumps(outcome.table, separators=(",", ":")))
    classes = ", ".join(f"{name} {count}" for name, count in outcome.covered.items())
    dropped = "".join(f" | {name}: {why}" for name, why in outcome.dropped.items())
    untold = " untold " + ",".join(outcome.table["untold"]) if outcome.table["untold"] else ""
    return f"{outcome.model_type} {size} bytes {outcome.seconds:.0f} s: {classes}{untold}{dropped}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
