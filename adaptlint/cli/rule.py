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

    spelled = {word.lower(): word for word in known}
    near = difflib.get_close_matches(asked.lower(), spelled, n=12, cutoff=0.5)
    near = sorted(near, key=lambda word: _apart(word, asked.lower()))[:3]
    return f" Did you mean {', '.join(spelled[word] for word in near)}?" if near else " `adaptlint rules` lists them."


def _apart(one: str, other: str) -> int:
    """Places at which two words differ: of the codes that share letters with AL3O1 the one that was meant is AL301."""
    return sum(a != b for a, b in zip(one, other, strict=False)) + abs(len(one) - len(other))
