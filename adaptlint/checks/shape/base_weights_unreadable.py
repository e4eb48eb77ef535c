"""A base whose own weights lie in its folder and cannot be read, so that their sizes were not looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator

from adaptlint.findings import Fact, Fault, Where
from adaptlint.graph import Scene


def check(scene: Scene) -> Iterator[Fault]:
    """One fault for the first of the base's weight files that cannot be read."""
    base = scene.known_base
    if base is None or base.header_problem is None:
        return
    file = base.header_problem
    facts: dict[str, Fact] = {name: value for name, value in file.facts.items() if not name.startswith("library_")}
    facts |= {"file": os.path.basename(file.path), "fault": file.reason}
    error, text = file.facts.get("library_type"), file.facts.get("library_error")
    facts["raises"] = f"The library that reads it raises {error}: {text}. " if error and text else ""
    yield Fault("", at=Where(file.path), facts=facts)
