"""What somebody probably meant: the nearest real name, and lists and patterns that were taken for each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from adaptlint import tables
from adaptlint.bases import Base
from adaptlint.findings import Fact, Where
from adaptlint.patterns import UnboundedPattern, is_plain
from adaptlint.runtimes.peft.entries import ADAPTABLE, PATTERNS, T5_LETTERS
from adaptlint.runtimes.peft.patterns import compiled
from adaptlint.runtimes.peft.refusal import Refusal
from adaptlint.runtimes.peft.release import PEFT
from adaptlint.runtimes.peft.settings import Settings

LENGTH = 200  # characters of a name that are compared
CANDIDATES = 500
CUTOFF = 0.75  # difflib's ratio; q_porj and q_proj have 0.83, q_proj and k_proj 0.83 too: see `near_leaf`
BRACKETS = re.compile(r"[\s,|()\[\]'\"]+")


def nearest(name: str, known: Iterable[str], cutoff: float = CUTOFF) -> str:
    """The known name that is most like `name`, "" if none is alike; bounded in length and number."""
    from difflib import get_close_matches
    from itertools import islice

    if not name or len(name) > LENGTH:
        return ""
    candidates = list(islice((other for other in known if other != name and len(other) <= LENGTH), CANDIDATES))
    return next(iter(get_close_matches(name, candidates, n=1, cutoff=cutoff)), "")


def would_meet(pattern: str, base: Base, at: Where) -> int:
    """How many modules have a path that ends as the pattern says; 0 where that cannot be told in bounds."""
    names = [module.path for module in base.modules]
    if len(pattern) > LENGTH:
        return 0
    try:
        found = compiled(rf"(.*\.)?({pattern})$", at, pattern)
        found.prepare(names, "match")
        return sum(found.match(name) for name in names)
    except (Refusal, UnboundedPattern):
        return 0


def near_leaf(entry: object, base: Base, taken: set[str]) -> str:
    """The name of a module that `entry` is a misspelling of; not one that is asked for beside it.

    Capitals, blanks and a leading `*.` are told too. Names that are right on another base are no misspellings:
    `query` is not `key`, nor `out_proj` `o_proj`.
    """
    name = str(entry).rpartition(".")[2]
    leaves = dict.fromkeys(m.path.rpartition(".")[2] for m in base.modules)
    bare = str(entry)[:LENGTH].removeprefix("*.").strip().lower()
    for leaf in leaves:
        if leaf.lower() == bare and leaf != entry and leaf not in taken:
            return leaf
    if not is_plain(name) or name.isdecimal() or name in _known_names():
        return ""
    return nearest(name, (leaf for leaf in leaves if leaf not in taken and not leaf.isdecimal()))


def _known_names() -> set[str]:
    """Module names that PEFT's own tables have for some architecture, and others that public models use."""
    card = tables.load()[PEFT]
    names = {name for targets in card["default_targets"].values() if isinstance(targets, list) for name in targets}
    return names.union(card["names"]["embeddings"], card["names"]["heads"], card["names"]["elsewhere"])


def suggestion(targets: Sequence[str], base: Base) -> str:
    """What to say after "hits no module": the nearest names, else the families that have such names."""
    near = {target: near_leaf(target, base, set()) for target in targets[:8]}
    told = [f"{name} for {target}" for target, name in near.items() if name]
    if told:
        return f" Did you mean {', '.join(told)}?"
    families = [
        family
        for family, names in tables.load()[PEFT]["default_targets"].items()
        if isinstance(names, list) and targets and set(targets) <= set(names)
    ]
    return f" PEFT knows these names from {', '.join(families[:6])}." if families else ""


def misread(settings: Settings, base: Base) -> tuple[str, dict[str, Fact]] | None:
    """Why targets that look right reach nothing: letters, a pattern in a list, or names in a pattern's place."""
    given = settings.given.get("target_modules")
    if isinstance(given, str):
        return _names_as_pattern(given, base)
    if not isinstance(given, list) or not given or not all(isinstance(name, str) for name in given):
        return None
    letters = set(given)
    if len(given) > 2 and all(len(name) == 1 for name in given) and not letters <= T5_LETTERS:
        spelled = "all-linear" if letters == set("all-linear") else ""
        return "targets-are-letters", {"letters": len(given), "spelled": f', those of "{spelled}"' if spelled else ""}
    for name in given[:PATTERNS]:
        if not is_plain(name):
            would = would_meet(name, base, settings.where("target_modules"))
            if would:
                return "list-holds-pattern", {"entry": name, "would": would}
    return None


def _names_as_pattern(given: str, base: Base) -> tuple[str, dict[str, Fact]] | None:
    """A string of plain names that real modules end with: as a list it would have worked."""
    names = [name for name in BRACKETS.split(given[: LENGTH * 4]) if name]
    if not names or not all(map(is_plain, names)):
        return None
    paths = [module.path for module in base.modules if module.kind in ADAPTABLE]
    would = sum(any(path == name or path.endswith(f".{name}") for name in names) for path in paths)
    if not would:
        return None
    listed = ", ".join(f'"{name}"' for name in names[:8])
    return "string-holds-names", {"entry": given, "instead": f"[{listed}]", "would": would}
