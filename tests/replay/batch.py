"""Many jobs of a replay in one process: `python -m tests.replay.batch jobs.json events.json`.

Runs in environments that have nothing but the library: of adaptlint only the files of replay's worker are imported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from adaptlint.replay.worker.reference_kernels import stand_in
from adaptlint.replay.worker.running import conduct, versions_of
from adaptlint.replay.worker.telling import Channel

Event = dict[str, Any]


class Collected(Channel):
    """A channel that keeps what is said."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.events: list[Event] = []
        hidden = {each["folder"]: f"<{each['name']}>" for each in job["adapters"]}
        self._hidden = sorted(hidden.items(), key=lambda pair: -len(pair[0]))

    def say(self, event: str, **facts: Any) -> None:
        """Keep one observation."""
        self.events.append({"event": event, **self._clean(facts)})


def events_of(job: dict[str, Any]) -> list[Event]:
    """Everything that is seen of one job, with how it ended."""
    channel = Collected(job)
    channel.say("versions", **versions_of())
    try:
        conduct(job, channel)
        channel.say("ended", status="done", detail="")
    except Exception as problem:
        channel.say("ended", status="failed", detail=f"{type(problem).__name__}: {problem}")
    return channel.events


def main(jobs: str, events: str) -> None:
    """Run every job of one file into another."""
    told = [events_of(job) for job in json.loads(Path(jobs).read_text())]
    Path(events).write_text(json.dumps(told))


if __name__ == "__main__":
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    for job in json.loads(Path(sys.argv[1]).read_text()):
        stand_in(job)
    for library in ("adapters", "peft"):
        try:
            __import__(library)
        except ImportError:
            continue
    main(*sys.argv[1:])
