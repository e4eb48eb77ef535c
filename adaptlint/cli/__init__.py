"""The command line: argv in, text and an exit status out; a verb is imported when it is used.

A well-formed `adaptlint check ...` or `adaptlint graph ...` is read by `plain.py` from the same table of options that
click's command is made of: click takes as long to import as the check itself. Everything else, every mistake included,
goes to click.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from adaptlint.hints import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from click import Command

    from adaptlint.findings import Report

COMPLETING = "_ADAPTLINT_COMPLETE"  # what a shell's completion sets, click's name for it
USAGE_ERROR, NOTHING_CHECKED, CRASHED, INTERRUPTED = 2, 3, 4, 130


class CommandLineError(Exception):
    """The command line asks for something that cannot be done; the message says what."""


class NothingToSay(Exception):
    """The command is right, and there is nothing that could be looked at; the message says why."""


class Interrupted(Exception):
    """Ctrl-C ended a replay; `report` has the marks until then, and is printed before the process ends."""

    STATUS = INTERRUPTED

    def __init__(self, report: Report) -> None:
        super().__init__("interrupted")
        self.report = report


def main() -> NoReturn:
    """Run `sys.argv` and end the process."""
    import gc

    gc.set_threshold(50_000, 50, 50)  # a check lets go of little before it ends: looking for it so often is wasted
    ended(run(sys.argv[1:]))


def ended(status: int) -> NoReturn:
    """End the process with this status."""
    import atexit

    callbacks = getattr(atexit, "_ncallbacks", None)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # nobody reads any more
        status = status or CRASHED
    if callbacks is not None and callbacks() == 0:
        os._exit(status)  # nobody asked to be called: taking the interpreter apart is a tenth of a check's time
    sys.exit(status)


def run(arguments: Sequence[str], command: Callable[[list[str]], int] | None = None) -> int:
    """Run one command and return its exit status; nothing but our own bugs under --verbose shows a traceback.

    `command` reads the arguments in place of `adaptlint`.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a terminal without Unicode gets escapes, not an exception
            reconfigure(errors="backslashreplace")
    try:
        return (command or _dispatch)(list(arguments))
    except CommandLineError as problem:
        verb = next((f" {argument}" for argument in arguments[:1] if argument.isalpha()), "")
        sys.stderr.write(f"Error: {problem}\nTry 'adaptlint{verb} --help' for help.\n")
        return USAGE_ERROR
    except NothingToSay as reason:
        sys.stderr.write(f"{reason}\n")
        return NOTHING_CHECKED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as bug:
        return _crashed(bug, "--verbose" in arguments)


def _dispatch(arguments: list[str]) -> int:
    options: dict[str, Any] | None
    if COMPLETING in os.environ:  # a shell asks click what could stand here
        return _click(arguments)
    if arguments[:1] == ["check"]:
        from adaptlint.cli import check
        from adaptlint.cli.plain import parse

        options = parse(arguments[1:], check.OPTIONS)
        if options is not None:
            return check.check(options)
    if arguments[:1] == ["graph"]:
        from adaptlint.cli import graph
        from adaptlint.cli.plain import parse

        options = parse(arguments[1:], graph.OPTIONS, least=0)
        if options is not None:
            return graph.graph(options)
    return _click(arguments)


def _click(arguments: list[str]) -> int:
    from adaptlint.cli.verbs import adaptlint

    return by_click(adaptlint, arguments, "adaptlint")


def by_click(command: Command, arguments: list[str], name: str) -> int:
    """Run a click command under this name; its mistakes become an exit status."""
    import click

    try:
        status = command.main(arguments, prog_name=name, standalone_mode=False)
    except click.Abort:  # click's word for Ctrl-C
        return INTERRUPTED
    except click.ClickException as refused:
        refused.show()
        return USAGE_ERROR
    return status if isinstance(status, int) else 0


def _crashed(bug: Exception, verbose: bool) -> int:
    if verbose:
        sys.excepthook(type(bug), bug, bug.__traceback__)
    said = " ".join(str(bug).split())[:300]
    said = "".join(character if character.isprintable() else "?" for character in said)
    hint = "the traceback is above" if verbose else "--verbose shows the traceback"
    sys.stderr.write(
        f"adaptlint crashed with {type(bug).__name__}: {said}\n"
        f"This is a bug of adaptlint, not of your adapter: please report it to its issue tracker ({hint}).\n"
    )
    return CRASHED
