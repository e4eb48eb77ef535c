"""What some formats tell beside the report: pages of its rules, and the command that makes it again."""

from __future__ import annotations

from adaptlint.cli.settled import PLAIN
from adaptlint.hints import TYPE_CHECKING, Any
from adaptlint.reporters import TELL_RULES, Background

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from adaptlint.catalogue import Rule
    from adaptlint.cli.plain import Option
    from adaptlint.findings import Report
    from adaptlint.reporters import RulePage

ABOUT_THE_OUTPUT = ("form", "output", "quiet", "verbose", "exit_zero", "fail_on")
_EXAMPLES = "\n## Bad\n"
_CARD = "```toml rule"
_FENCE = "\n```\n"


def background_of(
    report: Report, forms: Collection[str], options: Sequence[Option], given: Mapping[str, Any], *words: str
) -> Background:
    """The background that one of these formats asks for; an empty one, at no cost, for all others.

    `words` are the verb of the command and what it was given besides options.
    """
    if not any(form in TELL_RULES for form in forms):
        return Background()
    return Background(pages_of(report), command_line(options, given, *words))


def pages_of(report: Report) -> dict[str, RulePage]:
    """The rules of the report's ledger; those that fired with the words of their pages."""
    from adaptlint.catalogue import load_catalogue
    from adaptlint.reporters import RulePage

    fired = {finding.code for finding in report.findings}
    ran = {line.rule for line in report.ledger}
    return {
        rule.code: RulePage(
            rule.code,
            rule.name,
            rule.family,
            rule.title,
            rule.severity,
            rule.consequence,
            _words(rule) if rule.code in fired else "",
        )
        for rule in load_catalogue()
        if rule.code in ran
    }


def _words(rule: Rule) -> str:
    """A page's prose: without its title, its card and its examples."""
    from adaptlint.catalogue import read_page

    prose = read_page(rule).partition(_EXAMPLES)[0].partition(_CARD)[2].partition(_FENCE)[2]
    return prose.strip() + "\n"


def command_line(options: Sequence[Option], given: Mapping[str, Any], *words: str) -> str:
    """The `adaptlint VERB ...` that makes the report again, whatever it is written to; ready for a shell."""
    import shlex

    said = ["adaptlint", *words]
    for option in options:
        value = given[option.key]
        if option.key in ABOUT_THE_OUTPUT or value in (None, (), False, PLAIN.get(option.key, option.default)):
            continue
        for each in value if isinstance(value, tuple) else (value,):
            said.append(option.name)
            said += [] if each is True else [str(each)]
    return shlex.join(said)
