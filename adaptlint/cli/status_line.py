"""One line on a terminal's stderr that is written over, and gone before anything else is said."""

from __future__ import annotations

import os
import sys

from adaptlint.reporters.showing import shown

LONGEST = 100  # characters: a line that wraps could not be taken away again
PATIENCE = 1.0  # seconds before a line is shown


class StatusLine:
    """Nothing for a pipe, a dumb terminal or --quiet."""

    def __init__(self, quiet: bool = False) -> None:
        self.live = sys.stderr.isatty() and not quiet and os.environ.get("TERM") != "dumb"
        self.seen = False

    def show(self, text: str) -> None:
        """Write the line anew."""
        if self.live:
            sys.stderr.write(f"\r{shown(text)[:LONGEST]}\x1b[K")
            sys.stderr.flush()
            self.seen = True

    def clear(self) -> None:
        """Take it away, if it is there."""
        if self.seen:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self.seen = False
