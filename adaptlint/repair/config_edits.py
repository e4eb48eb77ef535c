"""Edits of adapter_config.json that change nothing about what was trained."""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint import tables
from adaptlint.artefacts import Malformed
from adaptlint.drafts.words import SAFE, UNSAFE
from adaptlint.graph.scene import CONFIG
from adaptlint.hints import Any
from adaptlint.methods import has_method, load_method
from adaptlint.repair.situation import NAME, Proposal, Situation
from adaptlint.repair.words import Step
from adaptlint.runtimes.peft.mending import adapted_modules, named_targets, without_mark

LORA_CONFIG = "runtimes/peft/lora_config.toml"
FIELDS = ("AL102", "AL140")  # fields that the release lacks
TARGETS = ("AL106", "AL107", "AL120")  # target_modules that reach nothing
ANYTHING = object()


def mend_text(situation: Situation) -> Proposal | None:
    """A byte-order mark taken off, keys that stand twice written once: with the last value, as `json.load` has it."""
    draft = situation.draft
    if draft.config is not None or CONFIG not in draft.folder.names:
        return None
    document = draft.folder.json(CONFIG)
    if isinstance(document, Malformed):
        if document.reason != "byte-order-mark":
            return None
        read = without_mark(draft.adapter(NAME))
        if read is None:
            return None
        step = Step("config", SAFE, f"take the byte-order mark off {CONFIG}")
        return Proposal(step, draft._replace(config=read))
    if not document.duplicates or not isinstance(document.value, dict):
        return None
    twice = ", ".join(str(route[-1]) for route in document.duplicates[:6])
    return Proposal(
        Step("config", SAFE, f"write keys that stand twice once, with the value that counts, the last: {twice}"),
        draft._replace(config=document.value),
    )


def drop_fields(situation: Situation) -> Proposal | None:
    """Fields that the release does not have, where they say what is so without them."""
    draft = situation.draft
    fields = lacking_fields(situation)
    usual = usual_values(draft.settings)
    at_default = [name for name in fields if name in usual and usual[name] in (draft.settings[name], ANYTHING)]
    strange = [name for name in fields if name not in usual]
    if at_default:
        said = f"take out fields that this release lacks and that have their default value: {', '.join(at_default)}"
        return Proposal(Step("config", SAFE, said), draft.without_fields(at_default))
    if strange:
        said = f"take out fields that no release of PEFT has: {', '.join(strange)}"
        return Proposal(Step("config", UNSAFE, said), draft.without_fields(strange))
    return None


def lacking_fields(situation: Situation) -> list[str]:
    """Fields of the config that the runtime says it does not have."""
    names: dict[str, None] = {}
    for finding in situation.report.findings:
        if finding.code in FIELDS:
            for fact in ("field", "fields"):
                value = finding.facts.get(fact)
                names |= dict.fromkeys([value] if isinstance(value, str) else map(str, value or ()))  # type: ignore[arg-type]
    return [name for name in names if name in situation.draft.settings]


def usual_values(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the newest release has for this method, with their default values; ANYTHING for those whose
    value no release ever reads."""
    method = settings.get("peft_type")
    if not isinstance(method, str) or not has_method(method):
        return {}
    table = tables.load()[LORA_CONFIG]
    card = table if method == "LORA" else load_method(method).config
    return {**dict.fromkeys(card["none"]), **card["defaults"], **dict.fromkeys(table["unread"], ANYTHING)}


def retarget(situation: Situation) -> Proposal | None:
    """target_modules from the modules that the file has tensors for."""
    draft, base, weights = situation.draft, situation.base, situation.draft.weights
    reaches_nothing = bool(situation.codes & {*TARGETS})
    if base is None or weights is None or not (reaches_nothing or situation.codes & {"AL201", "AL202"}):
        return None
    names = named_targets(draft.settings, weights, base)
    if names is None:
        return None
    if draft.settings.get("target_modules") in (names, [*reversed(names)]):
        return None
    safety = SAFE if reaches_nothing else UNSAFE
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    paths = adapted_modules(weights.tensors, load_method(str(draft.settings["peft_type"])).prefix)
    said = f"set target_modules to the {len(paths)} modules that the file has tensors for: {shown}"
    return Proposal(Step("config", safety, said), draft.with_config(target_modules=names))


def lie_right(situation: Situation) -> Proposal | None:
    """fan_in_fan_out as the base's layers are: Conv1D keeps its weight the other way round, Linear does not."""
    draft, base, weights = situation.draft, situation.base, situation.draft.weights
    said = draft.settings.get("fan_in_fan_out")
    if base is None or weights is None or not isinstance(said, bool) or draft.settings.get("peft_type") != "LORA":
        return None
    paths = [path for path in adapted_modules(weights.tensors, "lora_") if path in base.by_path]
    kinds = {base.by_path[path].kind for path in paths}
    if not base.certain_kinds or kinds not in ({"Linear"}, {"Conv1D"}):
        return None
    right = kinds == {"Conv1D"}
    if said == right:
        return None
    said_so = f"set fan_in_fan_out to {str(right).lower()}: the adapted layers are {kinds.pop()}, and PEFT warns of it"
    return Proposal(Step("config", SAFE, said_so, tidy=True), draft.with_config(fan_in_fan_out=right))
