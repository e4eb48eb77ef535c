"""Two bases as adapters see them: which modules there are, under which names, in which shapes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from adaptlint.bases import Base, Module
from adaptlint.comparing.words import LOADS, RETRAIN, SAME_OUTPUT, Difference, listed, sides
from adaptlint.methods import PEFT_PREFIX
from adaptlint.runtimes.peft.unmet import ADAPTABLE
from adaptlint.runtimes.peft.wrappers import renaming_of

FACTOR = ".lora_A.weight"
NEW = "the base computes something else, and adapters that name it by its last part get untrained matrices there"
# What a config says about its own file, not about the model.
ABOUT_FILE = ("transformers_version", "_name_or_path", "name_or_path", "architectures", "auto_map", "use_cache")


def module_differences(old: Base, new: Base, only: Collection[str] | None = None) -> list[Difference]:
    """Modules that are gone, new, renamed, or of another size or kind; with `only`, just these old paths."""
    theirs, ours = _with_parameters(old), _with_parameters(new)
    if only is not None:
        theirs = {path: module for path, module in theirs.items() if path in only}
    gone = {path: module for path, module in theirs.items() if path not in ours}
    come = {path: module for path, module in ours.items() if path not in _with_parameters(old)}
    moved = moved_modules(gone, come, new)
    found = _renames(moved, new)
    left = {path: module for path, module in gone.items() if path not in moved}
    found += _told(left, RETRAIN, "adapters of it have no place")
    if only is None:
        new_ones = {path: module for path, module in come.items() if path not in moved.values()}
        found += _told(new_ones, LOADS, NEW, gone=False)
    pairs = {path: (module, ours[path]) for path, module in theirs.items() if path in ours}
    pairs |= {path: (theirs[path], ours[to]) for path, to in moved.items()}
    return found + _resized(pairs)


def _with_parameters(base: Base) -> dict[str, Module]:
    """Modules that have parameters of their own; the others are but names on the way."""
    return {module.path: module for module in base.modules if module.params}


def moved_modules(gone: Mapping[str, Module], come: Mapping[str, Module], new: Base) -> dict[str, str]:
    """Old path -> new path of modules that transformers or a class with a head names differently, sizes being equal."""

    def names(modules: Mapping[str, Module]) -> dict[str, tuple[int, ...]]:
        return {f"{PEFT_PREFIX}{path}{FACTOR}": _weight(module) for path, module in modules.items()}

    if not gone or not come:
        return {}
    renaming = renaming_of(names(gone), names(come), new)
    return {_path(one): _path(other) for one, other in renaming.names.items()}


def _path(name: str) -> str:
    return name.removeprefix(PEFT_PREFIX).removesuffix(FACTOR)


def _weight(module: Module) -> tuple[int, ...]:
    return module.params.get("weight", next(iter(module.params.values())))


def _renames(moved: Mapping[str, str], new: Base) -> list[Difference]:
    """Renamed modules: PEFT translates the keys of adapters itself, or they have to be renamed in a copy."""
    if not moved:
        return []
    translated = bool(new.conversion)
    reason = (
        "PEFT 0.19 and newer translate the keys of LoRA adapters when they load them"
        if translated
        else "keys of adapters have to be renamed: `adaptlint fix ADAPTER --base NEW`"
    )
    category = SAME_OUTPUT if translated else LOADS
    groups: dict[tuple[str, str], int] = {}
    for one, other in moved.items():
        head = _common_tail(one, other)
        key = (one[: len(one) - head], other[: len(other) - head])
        groups[key] = groups.get(key, 0) + 1
    return [
        Difference(category, "module", f"{one or '(root)'}*", f"{one}*", f"{other}*", reason, count)
        for (one, other), count in groups.items()
    ]


def _common_tail(one: str, other: str) -> int:
    """Length of the longest ending of whole names that both paths have."""
    length = 0
    for mine, theirs in zip(reversed(one.split(".")), reversed(other.split(".")), strict=False):
        if mine != theirs:
            break
        length += len(mine) + 1
    return min(length - 1, len(one), len(other)) if length else 0


def _resized(pairs: Mapping[str, tuple[Module, Module]]) -> list[Difference]:
    groups: dict[tuple[str, str], list[str]] = {}
    for path, (one, other) in pairs.items():
        if one.params != other.params or one.kind != other.kind:
            groups.setdefault((_described(one), _described(other)), []).append(path)
    found = []
    for (before, after), paths in groups.items():
        adapted = any(pairs[path][0].kind in ADAPTABLE for path in paths)
        reason = "tensors trained for the old size do not fit" if adapted else "the base computes something else"
        found.append(
            Difference(RETRAIN if adapted else LOADS, "module", listed(paths), before, after, reason, len(paths))
        )
    return found


def _told(modules: Mapping[str, Module], category: str, reason: str, gone: bool = True) -> list[Difference]:
    """One difference for all modules that look alike; where no adapter can sit, the base only computes otherwise."""
    groups: dict[tuple[str, bool], list[str]] = {}
    for path, module in modules.items():
        groups.setdefault((_described(module), module.kind in ADAPTABLE), []).append(path)
    found = []
    for (described, adapted), paths in groups.items():
        before, after = (described, "not there") if gone else ("not there", described)
        known = (category, reason) if adapted else (LOADS, "the base computes something else")
        found.append(Difference(known[0], "module", listed(paths), before, after, known[1], len(paths)))
    return found


def _described(module: Module) -> str:
    sizes = "  ".join(f"{name} {list(shape)}" for name, shape in module.params.items())
    return f"{module.cls}  {sizes}"


def one_sided_fields(old: Base, new: Base) -> list[str]:
    """Fields that just one config has where defaults are unknown (headers), or were filled in by another release."""
    if old.made_with and old.made_with.get("transformers") == new.made_with.get("transformers"):
        return []
    return sorted({*old.resolved_config} ^ {*new.resolved_config})


def config_differences(old: Base, new: Base) -> list[Difference]:
    """Fields of the config: what changes sizes shows in the modules too, what does not may still change outputs.

    Both with the defaults of their class, so that a default that one of them spells out is none.
    """
    found = []
    one, other = old.resolved_config, new.resolved_config
    apart = one_sided_fields(old, new)
    for field in sorted({*one, *other} - {*ABOUT_FILE, *apart}):
        if one.get(field) != other.get(field):
            before, after = sides(one, other, field)
            found.append(Difference(LOADS, "config", field, before, after, "the base may compute something else"))
    if old.model_class != new.model_class:
        before, after = str(old.model_class), str(new.model_class)
        found.append(Difference(LOADS, "config", "class", before, after, "another class is called differently"))
    return found
