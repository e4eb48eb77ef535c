"""The command line: argv in, text and an exit status out; a verb is imported when it is used."""

from __future__ import annotations

import sys
from collections.abc import Sequence

USAGE_ERROR, CRASHED, INTERRUPTED = 2, 4, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; nothing but our own bugs under --verbose shows a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a terminal without Unicode gets escapes, not an exception
            reconfigure(errors="backslashreplace")
    try:
        return _run(given)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as bug:
        return _crashed(bug, "--verbose" in given)


def _run(arguments: list[str]) -> int:
    import click

    from adaptlint.cli.verbs import adaptlint

    try:
        status = adaptlint.main(arguments, prog_name="adaptlint", standalone_mode=False)
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
