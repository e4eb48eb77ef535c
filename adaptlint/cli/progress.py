"""A bar on a terminal's stderr: which run, how long it has taken, how long it may still take."""

from __future__ import annotations

import time
from typing import TextIO

from adaptlint.replay.plan import Run

WIDTH = 20


class Bar:
    """One line that is written over; nothing where stderr is no terminal."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.live, self.started, self.at = stream, stream.isatty(), time.monotonic(), -1

    def show(self, number: int, count: int, run: Run) -> None:
        """The run with this number, of so many, is under way."""
        if not self.live:
            return
        now = time.monotonic()
        if number != self.at:
            self.at, self.started = number, now
        spent = now - self.started
        share = min(0.99, spent / max(run.cost.seconds, spent, 1.0))
        full = round(WIDTH * (number + share) / count)
        left = max(0.0, run.cost.seconds - spent)
        text = f"[{'#' * full}{'.' * (WIDTH - full)}] {number + 1}/{count} {run.label}, about {left:.0f} s left"
        self.stream.write(f"\r\x1b[K{text[:110]}")
        self.stream.flush()

    def end(self) -> None:
        """Leave the line empty."""
        if self.live and self.at >= 0:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
