"""One run of a plan: PEFT's model as it stands after each step, and what there is to say about it."""

from __future__ import annotations

from typing import Any

from adaptlint import tables
from adaptlint.artefacts import TensorFile
from adaptlint.bases import Base
from adaptlint.findings import Fault, Mismatch
from adaptlint.graph import Adapter, Scene
from adaptlint.runtimes.peft.activation import activate, foreign_faults, lost_faults, mixed_faults, undisabled_faults
from adaptlint.runtimes.peft.config_file import open_config
from adaptlint.runtimes.peft.doubts import doubts_of
from adaptlint.runtimes.peft.effect import effect_of
from adaptlint.runtimes.peft.extra_modules import extend_saved, save_modules
from adaptlint.runtimes.peft.faults import faults_of_load, faults_of_mismatch
from adaptlint.runtimes.peft.injection import inject
from adaptlint.runtimes.peft.loading import Loaded, load_tensors, warned_keys
from adaptlint.runtimes.peft.plan import MODELLED, Step
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.release import PEFT, Release
from adaptlint.runtimes.peft.settings import Settings, parse_settings
from adaptlint.runtimes.peft.slow import slow_patterns
from adaptlint.runtimes.peft.weights import open_weights
from adaptlint.runtimes.peft.wrapped import Wrapped

WHOLE_BASE = "base_model.model"  # these classes look for modules_to_save from the wrapper's own root


class Run:
    """PEFT's model as it stands after the steps so far, and what there is to say about them."""

    __slots__ = (
        "effects",
        "faults",
        "first",
        "ignored",
        "left",
        "loaded",
        "mismatched",
        "missing",
        "reached",
        "scene",
        "task",
        "told",
        "unexpected",
        "warned",
        "wrapped",
    )

    def __init__(self, scene: Scene, base: Base, release: Release) -> None:
        self.scene = scene
        self.wrapped = Wrapped(base, release)
        self.loaded: dict[str, Settings] = {}
        self.effects: dict[str, Fault | None] = {}
        self.first = ""
        self.task: dict[str, Any] = {}  # the task of the first adapter: it makes the PeftModelFor... class
        self.told: set[tuple[str, str, str]] = set()  # mixed modules: module, active adapter, whose weights
        self.faults: list[Fault] = []
        self.missing: list[str] = []
        self.unexpected: list[str] = []
        self.left: list[str] = []
        self.ignored: list[str] = []
        self.mismatched: list[Mismatch] = []
        self.warned = False
        self.reached: set[str] = set()

    def say(self, faults: list[Fault], adapter: str) -> None:
        """Note faults of one adapter."""
        self.faults.extend(fault._replace(adapter=adapter, target="peft") for fault in faults)

    def do(self, step: Step) -> bool:
        """Run one step; False if it leaves something silently wrong. Raises Refusal or NotModelled."""
        if step.op not in MODELLED:
            raise NotModelled("step-not-modelled", facts={"step": step.op})
        fine = True
        if step.op == "load":
            fine = self._load(step)
        elif step.op == "set":
            if step.name not in self.loaded:
                raise _unknown_adapter(step, f"Adapter {step.name} not found.")
            activate(self.wrapped, step)
        elif step.op == "delete":
            self._delete(step)
        elif step.op == "combine":
            from adaptlint.runtimes.peft.combining import combine

            fine = self._note(combine(self.wrapped, self.loaded, step))
        elif step.op == "hotswap":
            self._swap(step)
        elif step.op == "save":
            return self._note(foreign_faults(self.wrapped, self.loaded))
        else:
            fine = self._note(undisabled_faults(self.wrapped, step))
            self.wrapped.copies.enable()
        return self._note(mixed_faults(self.wrapped, self.loaded, step)) and fine

    def _note(self, faults: list[Fault]) -> bool:
        """Tell of each fault once, though it may last over many steps; True if there is none."""
        for fault in faults:
            known = (fault.module, self.wrapped.active, str(fault.facts.get("at_work", fault.reason)))
            if known not in self.told:
                self.told.add(known)
                self.say([fault], fault.adapter or self.wrapped.active)
        return not faults

    def _delete(self, step: Step) -> None:
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

    def _swap(self, step: Step) -> None:
        from adaptlint.runtimes.peft.swapping import check_configs, swap

        if step.name not in self.loaded:
            raise NotModelled("plan-names-unknown-adapter", facts={"step": f"{step.op} {step.name}", "name": step.name})
        other = self._given(step, step.options[0][0] if step.options else "")
        settings = parse_settings(open_config(other), self.wrapped.release)
        check_configs(self.loaded[self.wrapped.active], settings, step)
        file, notes = open_weights(other.folder)
        self.say(notes, other.name)
        swap(self.wrapped, settings, file, step)
        self.loaded[step.name] = settings

    def _given(self, step: Step, name: str) -> Adapter:
        """The adapter of that name among those that were given."""
        found = next((a for a in self.scene.adapters if a.name == name), None)
        if found is None:
            raise NotModelled("plan-names-unknown-adapter", facts={"step": f"{step.op} {name}", "name": name})
        return found

    def _load(self, step: Step) -> bool:
        adapter = self._given(step, step.name)
        if not self.first:
            self.first = self.wrapped.active = step.name
        settings = self.loaded.get(step.name)
        if settings is None:
            settings = self._configure(adapter, step)
        self.reached.add("injected")
        file, notes = open_weights(adapter.folder)
        self.reached.add("weights")
        self.say(notes, adapter.name)
        result = load_tensors(self.wrapped, adapter.name, settings, file)
        self.reached.add("loaded")
        result = self._mismatches(adapter, settings, file, result, step)
        restored = self._restore_prompt(adapter, settings, file) if settings.method.is_prompt else True
        return self._account(adapter, settings, file, result) and restored

    def _restore_prompt(self, adapter: Adapter, settings: Settings, file: TensorFile) -> bool:
        from adaptlint.runtimes.peft.prompts import PromptMismatch, restore

        try:
            values = adapter.values(file, self.scene.values)
            faults, left = restore(self.wrapped, adapter.name, settings, file, values)
        except PromptMismatch as refusal:
            self.mismatched.append(refusal.mismatch)
            raise
        self.say(faults, adapter.name)
        self.left.extend(left)
        return not faults

    def _configure(self, adapter: Adapter, step: Step) -> Settings:
        """Config, wrapper class, injection: everything that PEFT does before it opens the weights."""
        release = self.wrapped.release
        settings = parse_settings(open_config(adapter), release)
        self.say(settings.notes, adapter.name)
        if not self.loaded:
            self.task = tables.load()[PEFT]["task"].get(settings["task_type"], {})
            if "modules_to_save" not in settings.values:
                self.task = {name: value for name, value in self.task.items() if name != "saves"}
        early = self.task.get("when") == "before" and release.head_before_injection
        if "saves" in self.task and (release.head_for_each_adapter if self.loaded else early):
            extend_saved(settings, self.task["saves"])
        low_memory = step.option("low_cpu_mem_usage") and release.can_spare_memory
        self.say(list(slow_patterns(settings, self.wrapped.base)), adapter.name)
        notes = inject(self.wrapped, adapter.name, settings, list(self.loaded.values()), low_memory)
        self.say(notes, adapter.name)
        if not self.loaded:
            self._wrap_for_task(adapter.name, settings, early)
        self.loaded[adapter.name] = settings
        return settings

    def _wrap_for_task(self, name: str, settings: Settings, early: bool) -> None:
        """What the PeftModelFor... classes do after injection."""
        if self.task.get("when") == "after" and "saves" not in self.task:  # they go through the list unasked
            match, at = "'NoneType' object is not iterable", settings.where("task_type")
            raise Refusal("TypeError", match, "config-value-impossible", at=at, facts={"field": "task_type"})
        saved = settings["modules_to_save"] or ()
        if "saves" in self.task and any(isinstance(n, str) and n and WHOLE_BASE.endswith(n) for n in saved):
            raise NotModelled("target-inside-saved-module", at=settings.where("modules_to_save"))
        if "saves" in self.task and not early:
            extend_saved(settings, self.task["saves"])
            save_modules(self.wrapped, name, settings, settings["modules_to_save"])
        base = self.wrapped.base
        lacking = base.features.get("prepare_inputs_for_generation") is False
        if self.task.get("generates") and lacking and not self.wrapped.release.generating_is_inherited:
            if self.wrapped.release.transformers < (5,):
                raise NotModelled("release-not-modelled", at=settings.where("task_type"))
            match = f"'{base.model_class}' object has no attribute 'prepare_inputs_for_generation'"
            facts = {"task": settings["task_type"], "class": base.model_class}
            at = settings.where("task_type")
            raise Refusal("AttributeError", match, "task-needs-generating-base", at=at, facts=facts)

    def _mismatches(self, adapter: Adapter, settings: Settings, file: TensorFile, result: Loaded, step: Step) -> Loaded:
        if not result.mismatched:
            return result
        self.mismatched.extend(result.mismatched)
        faults = [self._with_hint(fault, adapter) for fault in faults_of_mismatch(self.wrapped, settings, file, result)]
        self.say(faults, adapter.name)
        if not (step.option("ignore_mismatched_sizes") and self.wrapped.release.can_ignore_sizes):
            first = result.mismatched[0]
            match = (
                f"size mismatch for {first.key}: copying a param with shape torch.Size({list(first.checkpoint_shape)}) "
                f"from checkpoint, the shape in current model is torch.Size({list(first.model_shape)})."
            )
            raise MismatchRefusal("RuntimeError", match, faults[0].reason)
        dropped = {mismatch.key for mismatch in result.mismatched}
        arrived = {key: sources for key, sources in result.arrived.items() if key not in dropped}
        return result._replace(arrived=arrived, missing=[k for k in result.keys if k in dropped or k in result.missing])

    def _with_hint(self, fault: Fault, adapter: Adapter) -> Fault:
        if "hint" not in fault.facts:
            return fault
        from adaptlint.runtimes.peft.vocabulary import size_hint

        return fault._replace(facts={**fault.facts, "hint": size_hint(self.wrapped.base, adapter.folder, fault)})

    def _account(self, adapter: Adapter, settings: Settings, file: TensorFile, result: Loaded) -> bool:
        reported = warned_keys(result.missing, settings.method.prefix, adapter.name)
        self.missing.extend(reported)
        self.unexpected.extend(result.unexpected)
        told = [key for key in reported if result.keys[key].kind != "alias"]
        self.warned |= bool(told) and adapter.name == self.first and self.wrapped.release.warns_missing
        values = adapter.values(file, self.scene.values)
        report = faults_of_load(self.wrapped, adapter.name, settings, file, result, values)
        lost, left = lost_faults(self.wrapped, adapter.name, settings, file.path, result)
        self.say(lost, adapter.name)
        self.left.extend([*report.left, *left])
        self.ignored.extend(source for sources in result.unexpected.values() for source in sources)
        self.say(report.faults, adapter.name)
        self.say(list(doubts_of(self.wrapped, adapter, settings, file, result, values)), adapter.name)
        self.effects[adapter.name] = effect_of(self.wrapped, adapter.name, settings, file, result, values)
        return not any(fault.decides for fault in (*settings.notes, *lost, *report.faults))


class MismatchRefusal(Refusal):
    """A size mismatch: its faults, one per tensor, are told already."""


def _unknown_adapter(step: Step, match: str) -> Refusal:
    facts = {"step": f"{step.op} {step.name}", "name": step.name}
    return Refusal("ValueError", match, "plan-names-unknown-adapter", facts=facts, stage=step.op)
