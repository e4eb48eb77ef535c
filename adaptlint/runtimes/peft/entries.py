"""Names in the config that reach no module: why, as far as it can be told, and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from adaptlint import tables
from adaptlint.bases import Base
from adaptlint.findings import Fact, Fault, Where
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.patterns import is_plain
from adaptlint.runtimes.peft.patterns import full_match, segment_match
from adaptlint.runtimes.peft.refusal import Refusal
from adaptlint.runtimes.peft.release import PEFT
from adaptlint.runtimes.peft.settings import Settings

ADAPTABLE = ("Linear", "Conv1D", "Embedding", "Conv2d")
SHOWN = 20  # entries that are looked into; a hostile list may have any number
PATTERNS = 2  # places of a list at which a pattern is tried out
NAMES = 100  # entries that are told
T5_LETTERS = frozenset("qkvo")  # module names of one letter that exist


class Answers(NamedTuple):
    """How many modules were asked, and what PEFT answered."""

    targeted: list[str]
    excluded: int
    unmatched: int


def no_match(settings: Settings, base: Base, answers: Answers) -> Refusal:
    """PEFT's exception, and what the targets were perhaps meant to be."""
    if settings.release.no_match_reads_layers and "layers_to_transform" not in settings.values:
        match = f"'{settings.method.config_class}' object has no attribute 'layers_to_transform'"
        reason, facts, at = no_match_facts(settings, base, answers.excluded)
        return Refusal("AttributeError", match, reason, at=at, facts=facts)
    match = _no_match_text(settings, answers)
    reason, facts, at = no_match_facts(settings, base, answers.excluded)
    type_name = "NoMatchingPeftModuleError" if settings.release.no_match_has_own_type else "ValueError"
    return Refusal(type_name, match, reason, at=at, facts=facts)


def no_match_facts(settings: Settings, base: Base, excluded: int = 0) -> tuple[str, dict[str, Fact], Where]:
    """Why no module is targeted: the reason, what there is to say about it, and the field."""
    targets: Any = settings["target_modules"]
    field = "target_modules" if settings.given.get("target_modules") is not None else ""
    at = settings.where(field) if field else Where(settings.file)
    shown = [targets] if isinstance(targets, str) else [str(name) for name in targets or ()]
    facts: dict[str, Fact] = {
        "targets": shown[:SHOWN] or ["nothing"],
        "model_type": base.model_type,
        "leaves": leaf_names(base),
    }
    if excluded:
        facts["excluded"] = excluded
    if settings["layers_to_transform"] is not None:
        facts["only_layers"] = str(settings["layers_to_transform"])
    from adaptlint.runtimes.peft.meant import misread, suggestion

    reason, more = misread(settings, base) or ("targets-match-nothing", {"near": suggestion(shown, base)})
    return reason, {**facts, **more}, at


def _no_match_text(settings: Settings, answers: Answers) -> str:
    """The message of that exception: one of four, or the only one that older releases have."""
    targets, release = settings["target_modules"], settings.release
    several = release.several_no_match_messages
    if several and answers.excluded and not answers.unmatched:
        return "All modules were excluded."
    if release.has("fields", "target_parameters") and not answers.excluded and answers.unmatched and not targets:
        return "No `target_modules` passed but also no `target_parameters` found."
    if several and (answers.excluded or not answers.unmatched):
        return "No modules were targeted for adaptation."
    match = " not found in the base model. Please check the target modules and try again."
    if isinstance(targets, str):
        return f"Target modules {targets}{match}"
    if isinstance(settings.given.get("target_modules"), dict):
        return f"Target modules {settings.given['target_modules']}{match}"
    if settings.method.keeps_list or not release.checks_config:
        return f"Target modules {list(targets)}{match}"
    return f"Target modules {set(targets)}{match}" if len(targets) < 2 else match


def leaf_names(base: Base) -> list[str]:
    """The names that targets could have had: leaves of the modules that LoRA can adapt."""
    names = (m.path.rpartition(".")[2] for m in base.modules if m.kind in ADAPTABLE)
    return sorted({name for name in names if not name.isdecimal()})[:SHOWN]


def dead_entries(settings: Settings, base: Base, targeted: list[str], parameters_hit: list[str]) -> list[Fault]:
    """Entries of lists and patterns that touch no module: PEFT is silent about targets, and warns about patterns."""
    notes = _dead_targets(settings, base, targeted)
    hit = [*targeted, *parameters_hit]
    for field in ("rank_pattern", "alpha_pattern"):
        notes.extend(_idle_patterns(settings, base, field, hit))
    if settings["layers_to_transform"] or settings["layers_to_transform"] == 0:
        notes.extend(islice(_idle_layers(settings, base, targeted), SHOWN))
    if settings.given.get("exclude_modules") or settings.given.get("modules_to_save"):
        notes.extend(_idle_names(settings, base))
    return notes


def _dead_targets(settings: Settings, base: Base, targeted: list[str]) -> list[Fault]:
    """Targets that reach nothing: the first ones explained, the rest of a very long list in one fault."""
    targets = settings["target_modules"]
    given = settings.given.get("target_modules")
    if not isinstance(given, list) or isinstance(targets, str):
        return []
    endings = {path.rpartition(".")[2] for path in targeted}
    dead = [i for i, name in enumerate(given) if name in targets and name not in endings and not _hits(name, targeted)]
    notes = [_dead_target(settings, base, endings, index) for index in dead[:SHOWN]]
    if len(dead) > SHOWN:
        facts: dict[str, Fact] = {"entry": f"{len(dead) - SHOWN} more", "field": "target_modules"}
        notes.append(Fault("entry-matches-nothing", at=settings.where("target_modules", dead[SHOWN]), facts=facts))
    return notes


def _idle_patterns(settings: Settings, base: Base, field: str, hit: list[str]) -> Iterator[Fault]:
    if not isinstance(settings.given.get(field), dict) or not settings.given[field]:
        return
    patterns = settings.pattern_keys(field)
    alive = patterns.alive(hit)
    dead = (pattern for index, pattern in enumerate(patterns.keys) if index not in alive)
    for told, pattern in enumerate(dead):
        yield _idle(settings, base if told < SHOWN else None, field, pattern)


def _hits(name: str, targeted: list[str]) -> bool:
    return any(path == name or path.endswith(f".{name}") for path in targeted)


def _dead_target(settings: Settings, base: Base, endings: set[str], index: int) -> Fault:
    """A target that reaches nothing: ruled out by another field, a pattern in a list, misspelt, or of another base."""
    from adaptlint.runtimes.peft.meant import near_leaf, would_meet

    entry = settings.given["target_modules"][index]
    at = settings.where("target_modules", index)
    facts: dict[str, Fact] = {"entry": entry, "field": "target_modules"}
    ending = [m.path for m in base.modules if m.path == entry or m.path.endswith(f".{entry}")]
    for field in ("modules_to_save", "exclude_modules") if ending else ():
        if all(_named_by(settings, field, path) for path in ending):
            facts["by"] = field if settings.given.get(field) else f"task_type {settings['task_type']}"
            return Fault("entries-fight", module=ending[0], at=at, facts=facts)
    if index < PATTERNS and not is_plain(str(entry)):
        would = would_meet(str(entry), base, at)
        if would:
            return Fault("list-entry-is-pattern", at=at, facts=facts | {"would": would})
    near = near_leaf(entry, base, endings)
    if near:
        return Fault("entry-misspelt", at=at, facts=facts | {"near": near})
    return Fault("entry-matches-nothing", at=at, facts=facts)


def _named_by(settings: Settings, field: str, path: str) -> bool:
    names = settings[field]
    at = settings.where(field)
    if not names:
        return False
    if field == "modules_to_save":
        return any(segment_match(name, path, at) for name in names)
    if isinstance(names, str):
        return full_match(names, path, at)
    return any(path == name or path.endswith(f".{name}") for name in names)


def _idle(settings: Settings, base: Base | None, field: str, entry: object) -> Fault:
    """A setting for modules that are not there; without a base no nearest name is looked for."""
    from adaptlint.runtimes.peft.meant import near_leaf

    near = near_leaf(entry, base, set()) if base else ""
    facts: dict[str, Fact] = {"entry": str(entry), "field": field, "near": f". Did you mean {near}?" if near else ""}
    route = (field, str(entry)) if field.endswith("_pattern") else (field,)
    return Fault("setting-matches-nothing", at=settings.where(*route), facts=facts)


def _idle_layers(settings: Settings, base: Base, targeted: list[str]) -> Iterator[Fault]:
    """Layer numbers that no adapted module has."""
    layers = settings["layers_to_transform"]
    if not isinstance(layers, (int, list)):
        return
    numbers = {part for path in targeted for part in path.split(".") if part.isdecimal()}
    for layer in [layers] if isinstance(layers, int) else layers[: NAMES * 10]:
        if isinstance(layer, int) and str(layer) not in numbers:
            yield _idle(settings, base, "layers_to_transform", layer)


def _idle_names(settings: Settings, base: Base) -> Iterator[Fault]:
    """Names in modules_to_save and exclude_modules that no module has; a task's usual heads are listed by PEFT."""
    implied = {name for task in tables.load()[PEFT]["task"].values() for name in task.get("saves", ())}
    for field in ("modules_to_save", "exclude_modules"):
        names = settings.given.get(field)
        for name in names[:NAMES] if isinstance(names, list) else ():
            if name in implied or not isinstance(name, str) or not is_plain(name):
                continue
            if not any(module.path.endswith(name) for module in base.modules):
                yield _idle(settings, base, field, name)
