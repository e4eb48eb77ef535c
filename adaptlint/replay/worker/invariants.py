"""Ten things that hold for every adapter that works, whatever it is: they find faults that nobody wrote a rule for.

They run in this order: when wrapping alone changes a model, what comes after compares garbage with garbage.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from . import invariants_forward as forward
from . import invariants_state as state
from .bases import Bases
from .invariants_backends import backends
from .telling import Channel
from .tolerances import tolerance_of

Job = dict[str, Any]


class Invariant(NamedTuple):
    """One of them: its number, its name, and the function that measures it on a subject."""

    number: int
    name: str
    measure: Callable[[Any], Any]


INVARIANTS = (
    Invariant(1, "wrapping changes nothing", forward.wrapping),
    Invariant(2, "no token sees the future", forward.future),
    Invariant(3, "attention backends agree", backends),
    Invariant(4, "cached decoding is the full forward", forward.cached),
    Invariant(5, "each row is what its own adapter gives", forward.rows),
    Invariant(6, "every tensor arrives and the adapter has an effect", state.arrives),
    Invariant(7, "saved and loaded it is the same", state.saved),
    Invariant(8, "order, switching, disabling and deleting leave what they should", state.switched),
    Invariant(9, "merged it is what it was", state.merged),
    Invariant(10, "it learns, and gradients reach every parameter", state.learns),
)


def examine(job: Job, channel: Channel, subject_class: Any = None) -> None:
    """Measure the job's invariants, each on fresh models, and say what came of each."""
    from .subjects import HubSubject, PeftSubject, Unsupported

    bases = Bases(job)
    kind = subject_class or (HubSubject if job["target"]["library"] == "adapters" else PeftSubject)
    for each in INVARIANTS:
        if each.number not in job["invariants"]:
            continue
        told: dict[str, Any] = {"number": each.number, "name": each.name}
        started = time.monotonic()
        bound = tolerance_of(job)["atol"]
        with tempfile.TemporaryDirectory(prefix="adaptlint-") as place:
            try:
                subject = kind(job, place, bases)
                found = each.measure(subject)._asdict()
                bound = subject.tolerance["atol"]
            except Unsupported as reason:
                found = {"status": "skipped", "detail": str(reason)}
            except Exception as problem:
                found = {"status": "raised", "detail": "", "error": channel.error(problem)}
        spent = round(time.monotonic() - started, 2)
        channel.say("invariant", **told, **found, tolerance=bound, seconds=spent)
