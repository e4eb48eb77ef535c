"""One run of a plan: PEFT's model as it stands after each step, and what there is to say about it."""

from __future__ import annotations

from collections.abc import Sequence

from adaptlint.bases import Base
from adaptlint.findings import Fault
from adaptlint.graph import Scene
from adaptlint.runtimes.peft.activation import activate, foreign_faults, mixed_faults, undisabled_faults
from adaptlint.runtimes.peft.changed_base import changed_faults
from adaptlint.runtimes.peft.config_file import open_config
from adaptlint.runtimes.peft.loads import Loads
from adaptlint.runtimes.peft.plan import MODELLED, Step
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.release import Release
from adaptlint.runtimes.peft.settings import parse_settings
from adaptlint.runtimes.peft.weights import open_weights


class Run(Loads):
    """A plan on its way: each step changes the model, or raises what PEFT raises."""

    ops: tuple[str, ...] = MODELLED
    __slots__ = ("told",)

    def __init__(self, scene: Scene, base: Base, release: Release) -> None:
        super().__init__(scene, base, release)
        self.told: set[tuple[str, str, str]] = set()  # mixed modules: module, active adapter, whose weights

    def do(self, step: Step) -> bool:
        """Run one step; False if it leaves something silently wrong. Raises Refusal or NotModelled."""
        if step.op not in self.ops:
            raise NotModelled("step-not-modelled", facts={"step": step.op})
        if self.wrapped.merged:
            raise NotModelled("step-not-modelled", facts={"step": f"{step.op} after merge"})
        steps = {
            "load": self.load,
            "set": self._set,
            "delete": self._delete,
            "combine": self._combine,
            "hotswap": self._swap,
            "disable": self._disable,
            "merge": self._merge,
            "save": self._save,
        }
        fine = steps[step.op](step)
        if step.op in ("merge", "save"):
            return fine
        faults = mixed_faults(self.wrapped, self.loaded, step)
        if step.op != "load":  # what is active between two loads is not what they are for
            faults += self.over_changed_base(() if step.op == "disable" else (self.wrapped.active,))
        return self._note(faults) and fine

    def over_changed_base(self, active: Sequence[str]) -> list[Fault]:
        """What these adapters do together on a base that others have changed; nothing for those that a step made."""
        if not self.changed or not all(name in self.turns for name in active):
            return []
        return list(changed_faults(self.changed, active))

    def _set(self, step: Step) -> bool:
        if step.name not in self.loaded:
            raise _unknown_adapter(step, f"Adapter {step.name} not found.")
        activate(self.wrapped, step)
        return True

    def _combine(self, step: Step) -> bool:
        from adaptlint.runtimes.peft.combining import combine

        return self._note(combine(self.wrapped, self.loaded, step))

    def _disable(self, step: Step) -> bool:
        fine = self._note(undisabled_faults(self.wrapped, step))
        self.wrapped.copies.enable()
        return fine

    def _save(self, step: Step) -> bool:
        return self._note(foreign_faults(self.wrapped, self.loaded))

    def _merge(self, step: Step) -> bool:
        from adaptlint.runtimes.peft.merging import merge

        name = step.name or self.wrapped.active
        if name not in self.loaded:
            raise NotModelled("plan-names-unknown-adapter", facts={"step": f"merge {name}", "name": name})
        fine = self._note(merge(self.wrapped, name, self.loaded[name], step))
        self.wrapped.merged = True
        return fine

    def _note(self, faults: list[Fault]) -> bool:
        """Tell of each fault once, though it may last over many steps; True if there is none."""
        for fault in faults:
            known = (fault.module, self.wrapped.active, str(fault.facts.get("at_work", fault.reason)))
            if known not in self.told:
                self.told.add(known)
                self.say([fault], fault.adapter or self.wrapped.active)
        return not faults

    def _delete(self, step: Step) -> bool:
        if step.name not in self.loaded:
            raise _unknown_adapter(step, f"Adapter {step.name} does not exist")
        del self.loaded[step.name]
        for site in (*self.wrapped.sites.values(), *(s for sites in self.wrapped.parameters.values() for s in sites)):
            site.adapters.pop(step.name, None)
        for saved in self.wrapped.saved.values():
            saved.pop(step.name, None)
        for tokens in self.wrapped.tokens.values():
            tokens.pop(step.name, None)
        if self.wrapped.active == step.name:
            self.wrapped.active = next(iter(self.loaded), "")
        self.wrapped.copies.delete(step.name, self.wrapped.active)
        return True

    def _swap(self, step: Step) -> bool:
        from adaptlint.runtimes.peft.swapping import check_configs, swap

        if step.name not in self.loaded:
            raise NotModelled("plan-names-unknown-adapter", facts={"step": f"{step.op} {step.name}", "name": step.name})
        other = self.given(step, step.options[0][0] if step.options else "")
        settings = parse_settings(open_config(other), self.wrapped.release)
        check_configs(self.loaded[self.wrapped.active], settings, step)
        file, notes = open_weights(other.folder)
        self.say(notes, other.name)
        swap(self.wrapped, settings, file, step)
        self.loaded[step.name] = settings
        self.changed.pop(step.name, None)
        return True


def _unknown_adapter(step: Step, match: str) -> Refusal:
    facts = {"step": f"{step.op} {step.name}", "name": step.name}
    return Refusal("ValueError", match, "plan-names-unknown-adapter", facts=facts, stage=step.op)
