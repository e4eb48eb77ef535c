"""Where text goes: the terminal (or the pipe that replaces it), and files written whole."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from adaptlint.cli import CommandLineError
from adaptlint.named_tuple import NamedTuple
from adaptlint.reporters import EXTENSIONS, FORMATS, Style
from adaptlint.reporters.showing import wrapped

_PROSE_WIDTH = 100  # columns when nobody says how wide the output is
_WIDEST = 120  # prose is not easier to read in wider lines
_NARROWEST = 40


class Destination(NamedTuple):
    """A file that a report is written to, and in which format."""

    form: str
    path: str


def say(text: str) -> None:
    """Write to stdout; a reader that has gone away (`| head`) is no error and changes no exit status."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered must not raise once more when the interpreter closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def style(quiet: bool = False, verbose: bool = False) -> Style:
    """The layout that suits stdout: colours for terminals only, unless NO_COLOR or FORCE_COLOR decides."""
    terminal = sys.stdout.isatty()
    forced = os.environ.get("FORCE_COLOR", "") not in ("", "0")
    colour = not os.environ.get("NO_COLOR") and (forced or (terminal and os.environ.get("TERM") != "dumb"))
    try:
        here = os.getcwd()
    except OSError:  # the folder was deleted under us
        here = ""
    return Style(_width(terminal), colour, quiet, verbose, here)


def _width(terminal: bool) -> int:
    if not terminal:
        return _PROSE_WIDTH
    try:
        columns = int(os.environ.get("COLUMNS", "")) or os.get_terminal_size(sys.stdout.fileno()).columns
    except ValueError:
        columns = os.get_terminal_size(sys.stdout.fileno()).columns
    return min(max(columns, _NARROWEST), _WIDEST)


def prose(text: str, first: str = "", rest: str | None = None) -> list[str]:
    """Lines as wide as stdout that begin with `first`, then `rest`."""
    return wrapped(text, _width(sys.stdout.isatty()), first, rest)


def destination(text: str, form: str) -> Destination:
    """`[FORMAT:]PATH` taken apart; without FORMAT the file's ending decides (`EXTENSIONS`), else it is `form`."""
    prefix, colon, path = text.partition(":")
    if colon and prefix in FORMATS:
        return Destination(prefix, path)
    return Destination(EXTENSIONS.get(os.path.splitext(text)[1], form), text)


def destinations(texts: Sequence[str], form: str, inputs: Sequence[str]) -> tuple[Destination, ...]:
    """The files of `--output`. Raises CommandLineError for one that cannot be written, or must not be."""
    places = tuple(destination(text, form) for text in texts)
    for place in places:
        check_destination(place.path, inputs)
    if len({os.path.realpath(place.path) for place in places}) < len(places):
        raise CommandLineError("--output names one file twice.")
    return places


def deliver(places: Sequence[Destination], form: str | None, layout: Style, draw: Callable[[str, Style], str]) -> None:
    """What `draw` makes of a format and a layout: into every file, then to stdout in the format `form`, if any."""
    for place in places:
        write(place.path, draw(place.form, layout._replace(width=_PROSE_WIDTH, colour=False)))
    if form is not None:
        say(draw(form, layout))


def check_destination(path: str, inputs: Sequence[str]) -> None:
    """Raise CommandLineError unless `path` can be written without touching anything that is being checked."""
    if not path:
        raise CommandLineError("--output needs a path.")
    real = os.path.realpath(path)
    for given in inputs:
        root = os.path.realpath(given)
        if real == root or real.startswith(root.rstrip(os.sep) + os.sep):
            raise CommandLineError(f"--output {path}: lies in {given}, which is being checked and is left alone.")
    if os.path.isdir(path):
        raise CommandLineError(f"--output {path}: is a folder.")
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise CommandLineError(f"--output {path}: its folder does not exist.")


def write(path: str, text: str) -> None:
    """Write a file whole or not at all; devices and pipes (/dev/stdout) are written to, not replaced."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)
        else:
            from adaptlint.tables import write_atomic

            write_atomic(os.path.realpath(path), text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise CommandLineError(f"{path} cannot be written: {error.strerror}.") from error
