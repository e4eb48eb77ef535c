"""Findings that a project sets aside: for which adapters and modules, why, and until when."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from time import strftime

from adaptlint.findings import Fact, Fault, Suppression, Where
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.settings.globs import covers, inside


class Ignore(NamedTuple):
    """One entry of `ignores`; `at` is where it stands in the configuration, globs count from the folder `root`."""

    rules: tuple[str, ...]
    reason: str
    adapter: str = ""
    module: str = ""
    expires: str = ""
    root: str = ""
    at: Where | None = None

    def holds(self, today: str) -> bool:
        """True on the day it expires, and before."""
        return not self.expires or today <= self.expires

    def fits(self, paths: Iterable[str], module: str) -> bool:
        """True if it speaks of every one of these adapter folders and, where it names modules, of this module."""
        if self.module and not (module and covers(self.module, module, ".")):
            return False
        return not self.adapter or all(covers(self.adapter, inside(self.root, path)) for path in paths)

    def suppression(self) -> Suppression:
        """The mark that a finding gets."""
        return Suppression("ignore", self.reason, self.expires, self.at.file if self.at else "")


def read_ignores(entries: Sequence[Mapping[str, Any]], root: str = "", source: str = "") -> tuple[Ignore, ...]:
    """Ignores as the configuration has them. Raises ValueError with every mistake, one a line."""
    from adaptlint.settings.validating import mistakes, plain

    found = [*mistakes({"ignores": plain(list(entries))})]
    if found:
        raise ValueError("\n".join(f"{mistake}." for mistake in found))
    return tuple(
        Ignore(
            tuple(entry["rules"]),
            entry["reason"],
            entry.get("adapter", ""),
            entry.get("module", ""),
            str(entry.get("expires", "")),
            root or os.getcwd(),
            Where(source, ("ignores", number)) if source else None,
        )
        for number, entry in enumerate(entries)
    )


def expired(ignores: Iterable[Ignore], paths: Mapping[str, str]) -> list[Fault]:
    """A fault for every ignore whose day is over, at the first of the adapters (folders by name) it would speak of."""
    today = strftime("%Y-%m-%d")
    faults = []
    for ignore in ignores:
        fits = (name for name, path in paths.items() if ignore._replace(module="").fits([path], ""))
        adapter = None if ignore.holds(today) else next(fits, None)
        if adapter is not None:
            facts: dict[str, Fact] = {"rules": list(ignore.rules), "reason": ignore.reason, "expires": ignore.expires}
            faults.append(Fault("ignore-expired", adapter, at=ignore.at, facts=facts))
    return faults
