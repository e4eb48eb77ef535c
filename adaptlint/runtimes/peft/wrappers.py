"""Why names of a file are not those that PEFT looks for: the known wrappers and renames, tried one after the other."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain

from adaptlint import tables
from adaptlint.bases import Base, rename_key, split_transforms
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.peft.wrapped import PREFIX

TABLE = "runtimes/peft/wrapper_prefixes.toml"
UNKNOWN = "another class, library or release, which gives the modules other names"
NAME_LENGTH = 1_000  # characters; longer names are no module paths
DEEP = 3  # wrappers around one another that are taken off
CHAINS = 8  # different histories within one file
CONVERTED = "transformers gave the base's modules other names, and this release of PEFT does not translate them"
Shape = tuple[int, ...]


class Change(NamedTuple):
    """One entry of the table, ready to be tried: its words, and how sure it is ("safe" or "unsafe")."""

    pattern: str
    to: str
    cause: str
    safety: str
    general: bool

    def of(self, name: str, base: Base) -> str:
        """The name without this wrapper; itself where the entry does not apply."""
        if self.pattern:
            return re.sub(self.pattern, self.to, name)
        renames, _ = split_transforms(base.conversion or ())
        inner, dot, tensor = name.removeprefix(PREFIX).partition(".lora_")
        return PREFIX + rename_key(inner, renames, [])[0] + dot + tensor if name.startswith(PREFIX) else name


class Renaming(NamedTuple):
    """New names for tensors of a file, why, how sure that is, and the tensors for which there is none."""

    names: dict[str, str]
    causes: tuple[str, ...]
    safety: str
    left: tuple[str, ...]


def cause_of(found: str, wanted: Collection[str], base: Base) -> str:
    """What turns `found` into a wanted name, in words: one known wrapper, or two."""
    if len(found) > NAME_LENGTH:
        return UNKNOWN
    changes = changes_of(base)
    once = list(_repaired(found, base, [change for change in changes if not change.general]))
    twice = (
        (again, f"{cause}; and {more}")
        for name, cause in once
        for again, more in _repaired(name, base, [change for change in changes if not change.general])
    )
    for name, cause in chain(once, twice, _repaired(found, base, [change for change in changes if change.general])):
        if name in wanted:
            return cause
    theirs, ours = _leaves([found]), _leaves(wanted)
    if theirs and not theirs & ours:
        return f"the file adapts {', '.join(sorted(theirs))} and the config {', '.join(sorted(ours))}"
    return UNKNOWN


def changes_of(base: Base) -> list[Change]:
    """The entries of the table that this base can have."""
    body = str(base.features.get("base_model_prefix") or "")
    found = []
    for row in tables.load()[TABLE]["wrapper"]:
        if "{body}" in row["match"] + row["to"] and not body:
            continue
        pattern, to = row["match"].replace("{body}", re.escape(body)), row["to"].replace("{body}", body)
        cause = row["cause"].replace("{body}", body)
        found.append(Change(pattern, to, cause, row.get("safety", "safe"), row.get("general", False)))
    return found


def renaming_of(stray: Mapping[str, Shape], wanted: Mapping[str, Shape | None], base: Base) -> Renaming:
    """The names that PEFT looks for, for tensors that it does not take: one wrapper or up to three around one another.

    `wanted` are names without a tensor, with their shapes (None: any). A new name is taken if it is wanted in that
    shape, if no other is as near, and if no two tensors get it. A general entry is tried where no other one helps.
    """
    names: dict[str, str] = {}
    causes: dict[str, str] = {}
    if not wanted:
        return Renaming({}, (), "safe", tuple(stray))
    left = [name for name in stray if len(name) <= NAME_LENGTH]
    for _ in range(CHAINS):
        steps = _chain_to(left, stray, wanted, base)
        landed = {name: _through(name, steps, base) for name in left} if steps else {}
        counts: dict[str, int] = {}
        for target in (*landed.values(), *names.values()):
            counts[target] = counts.get(target, 0) + 1
        new = {n: t for n, t in landed.items() if counts[t] == 1 and _fits(wanted, t, stray[n])}
        if not new:
            break
        names |= new
        causes |= {step.cause: step.safety for step in steps}
        left = [name for name in left if name not in new]
    safety = "unsafe" if "unsafe" in causes.values() else "safe"
    return Renaming(names, tuple(causes), safety, tuple(name for name in stray if name not in names))


def _chain_to(
    left: list[str], stray: Mapping[str, Shape], wanted: Mapping[str, Shape | None], base: Base
) -> tuple[Change, ...]:
    """The shortest chain of changes that gives one of the names (the first and the last are tried) a wanted one."""
    every = changes_of(base)
    if base.conversion:
        every.append(Change("", "", CONVERTED, "safe", False))
    for changes in ([change for change in every if not change.general], every):
        for name in dict.fromkeys((*left[:2], *left[-2:])):
            found = _search(name, stray[name], wanted, base, changes)
            if found:
                return found
    return ()


def _search(
    name: str, shape: Shape, wanted: Mapping[str, Shape | None], base: Base, changes: list[Change]
) -> tuple[Change, ...]:
    """The shortest chain for this name; () where there is none, or where chains of one length lead to two names."""
    level: dict[str, tuple[Change, ...]] = {name: ()}
    seen = {name}
    for _ in range(DEEP):
        further: dict[str, tuple[Change, ...]] = {}
        for known, steps in level.items():
            for change in changes:
                new = change.of(known, base)
                if new not in seen and len(new) <= NAME_LENGTH + 100:
                    further.setdefault(new, (*steps, change))
        hits = [steps for new, steps in further.items() if _fits(wanted, new, shape)]
        if hits:
            return hits[0] if len(hits) == 1 else ()
        seen |= further.keys()
        level = further
    return ()


def _through(name: str, steps: tuple[Change, ...], base: Base) -> str:
    for step in steps:
        name = step.of(name, base)
    return name


def _fits(wanted: Mapping[str, Shape | None], name: str, shape: Shape) -> bool:
    return name in wanted and wanted[name] in (None, shape)


def _repaired(name: str, base: Base, changes: Iterable[Change]) -> Iterator[tuple[str, str]]:
    for change in changes:
        repaired = change.of(name, base)
        if repaired != name:
            yield repaired, change.cause


def _leaves(names: Iterable[str]) -> set[str]:
    return {name.partition(".lora_")[0].rpartition(".")[2] for name in names if ".lora_" in name}
