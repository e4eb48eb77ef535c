"""What the plan's steps do to modules in `modules_to_save`: faults of SavedCopies, in words of the report."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from adaptlint.findings import Fact, Fault, Where
from adaptlint.runtimes.peft.loading import Loaded
from adaptlint.runtimes.peft.plan import Step
from adaptlint.runtimes.peft.refusal import Refusal
from adaptlint.runtimes.peft.saved_copies import Missing
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Wrapped

BASE = "the base's own weights"
NOT_LIVE = "the weights of {name}"


def activate(wrapped: Wrapped, step: Step) -> None:
    """`set_adapter`: Refusal where the release wants a copy of every saved module."""
    wrapped.active = step.name
    try:
        wrapped.copies.activate(step.name)
    except Missing as missing:
        copies = wrapped.copies.modules[missing.path]
        others = sorted(copies.owners | copies.foreign)
        facts: dict[str, Fact] = {"name": step.name, "others": others, "step": f"set {step.name}"}
        match = f"Adapter {step.name} not found in "
        reason = "saved-module-of-others-only"
        raise Refusal("ValueError", match, reason, module=missing.path, facts=facts, stage="set") from missing


def mixed_faults(wrapped: Wrapped, loaded: Mapping[str, Settings], step: Step) -> list[Fault]:
    """Modules that do not work as they do when the active adapter is loaded alone."""
    active = wrapped.active
    faults = []
    for state in wrapped.copies.mixed(active):
        facts: dict[str, Fact] = {
            "step": f"{step.op} {step.name}".rstrip(),
            "active": active,
            "wanted": NOT_LIVE.format(name=state.wanted) if state.wanted else BASE,
            "at_work": NOT_LIVE.format(name=state.at_work) if state.at_work else BASE,
            "until": "0.18.0",
        }
        owner = state.at_work or state.wanted
        at = loaded[owner].where("modules_to_save") if owner in loaded else None
        faults.append(Fault("saved-module-of-another-adapter", module=state.path, at=at, facts=facts, decides=True))
    return faults


def undisabled_faults(wrapped: Wrapped, step: Step) -> list[Fault]:
    """Saved modules that go on inside `disable_adapter`."""
    if wrapped.release.disable_reaches_saved:
        return []
    going = {path: copies.at_work() for path, copies in wrapped.copies.modules.items()}
    return [
        Fault(
            "saved-module-not-disabled",
            module=path,
            facts={"mixup": f"goes on with the weights of {name} inside disable_adapter", "step": step.op},
            decides=True,
        )
        for path, name in going.items()
        if name
    ]


def foreign_faults(wrapped: Wrapped, loaded: Mapping[str, Settings]) -> list[Fault]:
    """Copies that `save_pretrained` writes into adapters that never asked for them."""
    return [
        Fault(
            "saved-module-of-others-written",
            adapter=name,
            module=path,
            at=loaded[name].where("modules_to_save"),
            facts={"mixup": f"save_pretrained writes a copy into {name}, which never asked for it"},
            decides=True,
        )
        for path, name in wrapped.copies.foreign(loaded)
    ]


def lost_faults(
    wrapped: Wrapped, adapter: str, settings: Settings, path: str, result: Loaded
) -> tuple[list[Fault], list[str]]:
    """Saved modules that the file lacks, and their parameters: releases before 0.15 leave them as the base has them."""
    lost = [
        (key, origin)
        for key, origin in result.keys.items()
        if origin.kind == "saved" and origin.adapter == adapter and key not in result.arrived
    ]
    owned: Collection[str] = {p for p, copies in wrapped.copies.modules.items() if adapter in copies.owners}
    lost = [(key, origin) for key, origin in lost if origin.module in owned]
    field = "modules_to_save"
    asked_by = field if settings.given.get(field) else f"task_type {settings['task_type']}"
    faults = [
        Fault(
            "saved-module-left",
            module=origin.module,
            at=Where(path),
            facts={"key": origin.saved, "asked_by": asked_by, "until": "0.15.0"},
            because=((settings.where(field), f"{field} asks for it"),) if settings.given.get(field) else (),
            decides=True,
        )
        for key, origin in lost
    ]
    return faults, [key for key, _ in lost]
