"""A clock on a terminal's stderr for what takes longer than a second; a pipe, --quiet and a dumb terminal get none."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import Event, Thread

PATIENCE = 1.0  # seconds before it is shown, and between two of its steps
LONGEST = 60  # characters: a line that wraps could not be taken away again


class Waiting:
    """Shows `what` and the seconds it has taken while the block runs; the line is gone before anything else is said."""

    def __init__(self, what: str, quiet: bool = False) -> None:
        self.what = "".join(letter if letter.isprintable() else "?" for letter in what)[:LONGEST]
        self.shown = sys.stderr.isatty() and not quiet and os.environ.get("TERM") != "dumb"
        self.clock: tuple[Thread, Event] | None = None

    def __enter__(self) -> None:
        if self.shown:
            from threading import Event, Thread

            done = Event()
            self.clock = Thread(target=_tick, args=(self.what, done), daemon=True), done
            self.clock[0].start()

    def __exit__(self, *_: object) -> None:
        if self.clock is not None:
            thread, done = self.clock
            done.set()
            thread.join()


def _tick(what: str, done: Event) -> None:
    seconds = 0
    while not done.wait(PATIENCE):
        seconds += 1
        sys.stderr.write(f"\r{what} ... {seconds} s\x1b[K")
        sys.stderr.flush()
    if seconds:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
