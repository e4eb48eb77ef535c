"""A clock for what takes longer than a second."""

from __future__ import annotations

from adaptlint.cli.status_line import PATIENCE, StatusLine
from adaptlint.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import Event, Thread

LONGEST = 60  # characters of what is being done


class Waiting:
    """Shows `what` and the seconds it has taken while the block runs; the line is gone before anything else is said."""

    def __init__(self, what: str, quiet: bool = False) -> None:
        self.what, self.line = what, StatusLine(quiet)
        self.clock: tuple[Thread, Event] | None = None

    def __enter__(self) -> None:
        if self.line.live:
            from threading import Event, Thread

            done = Event()
            self.clock = Thread(target=self._tick, args=(done,), daemon=True), done
            self.clock[0].start()

    def __exit__(self, *_: object) -> None:
        if self.clock is not None:
            thread, done = self.clock
            done.set()
            thread.join()

    def _tick(self, done: Event) -> None:
        seconds = 0
        while not done.wait(PATIENCE):
            seconds += 1
            self.line.show(f"{self.what[:LONGEST]} ... {seconds} s")
        self.line.clear()
