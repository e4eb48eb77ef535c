"""One question about one runtime, and its answer."""

from __future__ import annotations

from typing import NamedTuple

from adaptlint.findings import Fault, Verdict


class Request(NamedTuple):
    """A target as the user wrote it ("peft", "peft==0.21.2") and what goes with it."""

    target: str
    transformers: str | None = None
    plan: str | None = None
    composed: bool = False  # a composition, backend or concrete inputs were asked about


class Prediction(NamedTuple):
    """What the runtime will do, and the faults behind it; `why` of the verdict is filled in by the engine."""

    verdict: Verdict
    faults: tuple[Fault, ...]
    reached: frozenset[str] = frozenset()  # how far the runtime got: injected, weights, loaded
