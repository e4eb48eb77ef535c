"""How far many adapters, or the runs of a replay, are."""

from __future__ import annotations

from time import monotonic

from adaptlint.cli import status_line
from adaptlint.cli.status_line import StatusLine
from adaptlint.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from adaptlint.replay.plan import Run

WIDTH = 20
NAME = 60  # characters of what is done


class Progress:
    """How many of `total` are done, once that has taken a second."""

    def __init__(self, total: int, quiet: bool) -> None:
        self.total, self.number, self.begun = total, 0, monotonic()
        self.line = StatusLine(quiet)

    def step(self, what: str) -> None:
        """One more is done."""
        self.number += 1
        if monotonic() - self.begun > status_line.PATIENCE:
            self.line.show(f"{self.number} of {self.total}: {what[-NAME:]}")

    def end(self) -> None:
        """The line goes away, so that something else can be said."""
        self.line.clear()


class Bar:
    """Which run of a replay, how long it has taken, how long it may still take."""

    def __init__(self, quiet: bool = False) -> None:
        self.line, self.started, self.at = StatusLine(quiet), monotonic(), -1

    def show(self, number: int, count: int, run: Run) -> None:
        """The run with this number, of so many, is under way."""
        now = monotonic()
        if number != self.at:
            self.at, self.started = number, now
        spent = now - self.started
        share = min(0.99, spent / max(run.cost.seconds, spent, 1.0))
        full = round(WIDTH * (number + share) / count)
        left = max(0.0, run.cost.seconds - spent)
        self.line.show(
            f"[{'#' * full}{'.' * (WIDTH - full)}] {number + 1}/{count} {run.label}, about {left:.0f} s left"
        )

    def end(self) -> None:
        """Leave the line empty."""
        self.line.clear()
