"""The examples of a rule page: the `toml recipe` fences under its headings Bad and Good."""

from __future__ import annotations

import re

FENCE = re.compile(r"^```toml recipe[^\n]*\n(.*?)^```\s*$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^##+ +(.+?)\s*$", re.MULTILINE)


def page_examples(text: str) -> dict[str, list[str]]:
    """The recipes of a page by lower-case heading: {"bad": [toml, ...], "good": [toml, ...]}."""
    headings = [(match.start(), match[1].lower()) for match in HEADING.finditer(text)]
    examples: dict[str, list[str]] = {}
    for fence in FENCE.finditer(text):
        above = [title for start, title in headings if start < fence.start()]
        examples.setdefault(above[-1] if above else "", []).append(fence[1])
    return examples
