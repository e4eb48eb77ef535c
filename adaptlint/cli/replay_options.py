"""The options of a run, which `check --replay` and `replay` share."""

from __future__ import annotations

from adaptlint.cli.plain import Option

DTYPES = ("float32", "bfloat16", "float16", "float64", "auto")
SCALES = ("load", "layer", "tiny", "full")

RUN_OPTIONS = (
    Option("--device", "Where a replay runs: meta, cpu, cuda, mps, xpu.  [cpu]", metavar="DEVICE"),
    Option("--dtype", "Floating type of a replay's base; auto: its config's.  [float32]", choices=DTYPES),
    Option("--python", "Interpreter of a replay, or, without one, to record forwards of AdapterHub's.", metavar="PATH"),
    Option("--env", "Make (once) and use an environment with this release.", metavar="LIBRARY==VERSION"),
    Option("--memory", "Gigabytes that a replay may hold.  [4]", "number", "GB"),
    Option("--timeout", "Seconds that one run may take.  [600]", "number", "SECONDS"),
    Option("--scale", "How much of the base is built.  [the cheapest that decides]", choices=SCALES),
    Option("--full", "Run the whole base, with its weights where they are local.", "flag"),
    Option("--all", "Replay what is not flagged too.", "flag"),
    Option("--invariants", "Measure what holds for every adapter that works.", "flag"),
    Option("--record", "Where the run record is written.", metavar="PATH"),
    Option("--resume", "Go on with the runs that the record lacks.", "flag"),
)
