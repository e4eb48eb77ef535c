"""The forward under the conditions that were asked for: a backend, sizes, a mask."""

from __future__ import annotations

from collections.abc import Iterator

from adaptlint.bases import Base
from adaptlint.findings import Fault
from adaptlint.graph import Adapter
from adaptlint.runtimes.peft.backends import kernel_notes
from adaptlint.runtimes.peft.kernels import kernel_doubts, kernel_faults
from adaptlint.runtimes.peft.lengths import length_faults
from adaptlint.runtimes.peft.padding import batch_faults, padding_faults
from adaptlint.runtimes.peft.refusal import Refusal
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.prediction import Request


def condition_refusal(base: Base, settings: Settings, request: Request) -> Refusal | None:
    """What a forward raises under these conditions that otherwise works; NotModelled where it cannot be told."""
    questions = (length_faults, kernel_faults, batch_faults)
    return next((refusal for ask in questions for refusal in ask(base, settings, request)), None)


def condition_faults(base: Base, adapter: Adapter | None, settings: Settings, request: Request) -> Iterator[Fault]:
    """What else there is to say about these conditions; a fault that decides makes the forward's numbers wrong."""
    yield from kernel_notes(base, request)
    yield from kernel_doubts(base, request)
    yield from padding_faults(base, adapter, settings, request)
