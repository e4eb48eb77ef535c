"""`adaptlint rule`: one rule's page."""

from __future__ import annotations

import click

from adaptlint.cli import CommandLineError, output


@click.command("rule")
@click.argument("rule", metavar="CODE|NAME")
def command(rule: str) -> int:
    """Print the page of one rule, by code (AL301) or by name."""
    from adaptlint.catalogue import load_catalogue, read_page

    rules = load_catalogue()
    for known in rules:
        if rule.upper() == known.code or rule.lower() == known.name:
            page = read_page(known)
            output.say(page if page.endswith("\n") else page + "\n")
            return 0
    words = [word for known in rules for word in (known.code, known.name)]
    raise CommandLineError(f"there is no rule {rule}.{_nearest(rule, words)}")


def _nearest(asked: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(asked.lower(), [word.lower() for word in known], n=3, cutoff=0.5)
    spelled = {word.lower(): word for word in known}
    return f" Did you mean {', '.join(spelled[word] for word in near)}?" if near else " `adaptlint rules` lists them."
