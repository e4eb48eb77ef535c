"""Strings from files that try to be more than text, and readers that show what the real ones would make of them."""

from __future__ import annotations

import re
from typing import NamedTuple

from hypothesis import strategies as st

FRAGMENTS = (
    "::error file=a,line=1::x",
    "::stop-commands::z",
    "##[add-mask]q",
    "]]>",
    "</failure>",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</script><script>",
    "{{ 7*7 }}",
    "{% raw %}",
    "{0}",
    "](http://evil.example)",
    "[a](javascript:alert(1))",
    "| a | b |",
    "\\|",
    "`",
    "``",
    "\n\n# head\n",
    "\r\n",
    "- item",
    "1. one",
    "@everyone",
    "#1",
    "https://evil.example/",
    "www.evil.example",
    "a@b.example",
    "%0A::error::",
    "%25",
    "&lt;",
    "&#x3c;",
    "<!--",
    "-->",
    "\x00",
    "\x1b]0;t\x07",
    "\u2028",
    "\u202e",
    "\ud800",
    "\uffff",
    "'\"",
    "../../etc/passwd",
    "*bold* _it_ ~~no~~ $x$",
)

hostile_texts = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=8)), min_size=1, max_size=6).map(
    "".join
)


class Command(NamedTuple):
    """A workflow command as GitHub's runner understands it."""

    name: str
    properties: dict[str, str]
    data: str


NAMES = ("error", "warning", "notice", "debug", "group", "endgroup", "add-mask", "stop-commands", "echo", "set-output")


def command_in(line: str) -> Command | None:
    """The command in a line of a job's log, found as actions/runner does (ActionCommand.TryParseV2, then TryParse)."""
    start = line.lstrip()
    end = start.find("::", 2)
    if start.startswith("::") and end >= 0:
        name, _, rest = start[2:end].partition(" ")
        if name in NAMES:
            pairs = [pair.split("=", 1) for pair in rest.strip().split(",") if "=" in pair]
            return Command(name, {key: _taken_back(value) for key, value in pairs}, _taken_back(start[end + 2 :]))
    old = re.search(r"##\[([^\] ]*)[^\]]*\]", line)
    return Command(old[1], {}, "") if old and old[1] in NAMES else None


def _taken_back(text: str) -> str:
    for escaped, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escaped, character)
    return text
