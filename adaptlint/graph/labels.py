"""Text as Graphviz, Mermaid and GraphML want it."""

from __future__ import annotations

import json


def quoted(text: str) -> str:
    """A double-quoted ASCII string; control characters become escapes, so that a name cannot leave its line."""
    return json.dumps(text)


def mermaid_quoted(text: str) -> str:
    """The same for Mermaid, which has no backslash escapes in labels, but entities."""
    label = quoted(text)[1:-1].replace('\\"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
    label = label.replace("\\n", "<br>")
    return f'"{label}"'


def plain(text: str) -> str:
    """XML cannot hold most control characters and no surrogates; names with such are spelled with escapes."""
    return text if text.isprintable() else json.dumps(text)[1:-1]
