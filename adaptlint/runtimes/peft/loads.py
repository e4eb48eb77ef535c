"""The load step: from a folder to tensors in the model, and everything that there is to say about it."""

from __future__ import annotations

from adaptlint import tables
from adaptlint.artefacts import TensorFile
from adaptlint.bases import Base
from adaptlint.findings import Fault, Mismatch
from adaptlint.graph import Adapter, Scene
from adaptlint.hints import Any
from adaptlint.runtimes.peft.activation import lost_faults
from adaptlint.runtimes.peft.changed_base import Change, change_of
from adaptlint.runtimes.peft.config_file import open_config
from adaptlint.runtimes.peft.doubts import doubts_of
from adaptlint.runtimes.peft.effect import effect_of
from adaptlint.runtimes.peft.extra_modules import extend_saved, save_modules
from adaptlint.runtimes.peft.faults import faults_of_load, faults_of_mismatch
from adaptlint.runtimes.peft.injection import inject
from adaptlint.runtimes.peft.loading import Loaded, load_tensors, warned_keys
from adaptlint.runtimes.peft.plan import Step
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.release import PEFT, Release
from adaptlint.runtimes.peft.settings import Settings, parse_settings
from adaptlint.runtimes.peft.slow import slow_patterns
from adaptlint.runtimes.peft.weights import open_weights
from adaptlint.runtimes.peft.wrapped import PREFIX, Wrapped

ENCODER_KWARGS = "_prepare_encoder_decoder_kwargs_for_generation"
WHOLE_BASE = "base_model.model"  # these classes look for modules_to_save from the wrapper's own root


class Loads:
    """PEFT's model as it stands after the loads so far, and what there is to say about them.

    The first adapter comes by `PeftModel.from_pretrained`; integration.py has the other way in.
    """

    target = "peft"
    prefix = PREFIX

    __slots__ = (
        "changed",
        "effects",
        "faults",
        "first",
        "ignored",
        "left",
        "loaded",
        "mismatched",
        "missing",
        "reached",
        "result",
        "scene",
        "task",
        "turns",
        "unexpected",
        "warned",
        "wrapped",
    )

    def __init__(self, scene: Scene, base: Base, release: Release) -> None:
        self.scene = scene
        self.wrapped = Wrapped(base, release, self.prefix)
        self.loaded: dict[str, Settings] = {}
        self.changed: dict[str, Change] = {}  # adapters whose loads changed the base's own weights
        self.effects: dict[str, Fault | None] = {}
        self.first = ""
        self.task: dict[str, Any] = {}  # the task of the first adapter: it makes the PeftModelFor... class
        self.faults: list[Fault] = []
        self.missing: list[str] = []
        self.unexpected: list[str] = []
        self.left: list[str] = []
        self.ignored: list[str] = []
        self.mismatched: list[Mismatch] = []
        self.warned = False
        self.turns: dict[str, int] = {}  # how often each name was loaded
        self.reached: set[str] = set()
        self.result: Loaded | None = None  # of the last load

    def say(self, faults: list[Fault], adapter: str) -> None:
        """Note faults of one adapter."""
        self.faults.extend(fault._replace(adapter=adapter, target=self.target) for fault in faults)

    def given(self, step: Step, name: str, turn: int = 0) -> Adapter:
        """The adapter of that name among those that were given; NotModelled where there is none."""
        found = [adapter for adapter in self.scene.adapters if adapter.name == name]
        if not found:
            raise NotModelled("plan-names-unknown-adapter", facts={"step": f"{step.op} {name}", "name": name})
        return found[min(turn, len(found) - 1)]

    def load(self, step: Step) -> bool:
        """Do the load; of several adapters that were given one name, each load takes the next."""
        adapter = self.given(step, step.name, self.turns.get(step.name, 0))
        self.turns[step.name] = self.turns.get(step.name, 0) + 1
        if not self.first:
            self.first = self.wrapped.active = step.name
        self._check_new(adapter)
        settings = self.loaded.get(step.name)
        if settings is None:
            settings = self._configure(adapter, step)
        self.reached.add("injected")
        file, notes = open_weights(adapter.folder)
        self.reached.add("weights")
        self.say(notes, adapter.name)
        result = self._copy(adapter.name, settings, file)
        self.reached.add("loaded")
        self.result = result
        if settings.method.takes_any_shape:
            from adaptlint.runtimes.peft.resized import take_shapes

            take_shapes(self.wrapped, adapter.name, result, file)
        result = self._mismatches(adapter, settings, file, result, step)
        change = change_of(self.wrapped, adapter.name, settings, result, step)
        if change is not None:
            self.changed[adapter.name] = change
        restored = self._restore_prompt(adapter, settings, file) if settings.method.is_prompt else True
        return self._account(adapter, settings, file, result) and restored

    def _check_new(self, adapter: Adapter) -> None:
        """What is asked before the config is read: nothing, here."""

    def _copy(self, name: str, settings: Settings, file: TensorFile) -> Loaded:
        return load_tensors(self.wrapped, name, settings, file)

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
        self._prepare(settings)
        early = self.task.get("when") == "before" and release.head_before_injection
        if "saves" in self.task and (release.head_for_each_adapter if self.loaded else early):
            extend_saved(settings, self.task["saves"])
        low_memory = step.option("low_cpu_mem_usage") and release.can_spare_memory
        self.say(list(slow_patterns(settings, self.wrapped.base)), adapter.name)
        notes = inject(self.wrapped, adapter.name, settings, list(self.loaded.values()), low_memory)
        self.say(notes, adapter.name)
        settings.notes.extend(note for note in notes if note.decides)
        if not self.loaded:
            self._wrap_for_task(adapter.name, settings, early)
        self.loaded[adapter.name] = settings
        return settings

    def _prepare(self, settings: Settings) -> None:
        """The task of the first adapter chooses the model's class."""
        if not self.loaded:
            self.task = tables.load()[PEFT]["task"].get(settings["task_type"], {})
            if "modules_to_save" not in settings.known and self.wrapped.release.saves_by_config:
                self.task = {name: value for name, value in self.task.items() if name != "saves"}

    def _wrap_for_task(self, name: str, settings: Settings, early: bool) -> None:
        """What the PeftModelFor... classes do after injection."""
        headless = self.task.get("when") == "after" and "saves" not in self.task
        if headless and self.wrapped.release.head_before_injection:  # they go through the list unasked
            match, at = "'NoneType' object is not iterable", settings.where("task_type")
            raise Refusal("TypeError", match, "config-value-impossible", at=at, facts={"field": "task_type"})
        saved = settings["modules_to_save"] or ()
        if "saves" in self.task and any(isinstance(n, str) and n and WHOLE_BASE.endswith(n) for n in saved):
            raise NotModelled("target-inside-saved-module", at=settings.where("modules_to_save"))
        if "saves" in self.task and not early:
            extend_saved(settings, self.task["saves"])
            save_modules(self.wrapped, name, settings, settings["modules_to_save"])
        if "saves" in self.task and self.wrapped.embedding:
            from adaptlint.runtimes.peft.prompts import save_embedding

            save_embedding(self.wrapped, name, settings)
        base = self.wrapped.base
        lacking = base.features.get("prepare_inputs_for_generation") is False
        if self.task.get("generates") and lacking and not self.wrapped.release.generating_is_inherited:
            if self.wrapped.release.transformers < (5,):
                raise NotModelled("release-not-modelled", at=settings.where("task_type"))
            match = f"'{base.model_class}' object has no attribute 'prepare_inputs_for_generation'"
            facts = {"task": settings["task_type"], "class": base.model_class}
            at = settings.where("task_type")
            raise Refusal("AttributeError", match, "task-needs-generating-base", at=at, facts=facts)
        if settings["task_type"] == "SEQ_2_SEQ_LM" and self.wrapped.release.asks_for_encoder_kwargs:
            self._refuse_encoder_kwargs(settings)

    def _refuse_encoder_kwargs(self, settings: Settings) -> None:
        """What transformers 5 took away from every model; the releases between 5.0 and 5.23 were not looked at."""
        transformers, at = self.wrapped.release.transformers, settings.where("task_type")
        if (5,) <= transformers < (5, 23):
            raise NotModelled("release-not-modelled", at=at)
        if transformers >= (5, 23):
            match = f"'{self.wrapped.base.model_class}' object has no attribute '{ENCODER_KWARGS}'"
            raise Refusal("AttributeError", match, "config-value-impossible", at=at, facts={"field": "task_type"})

    def _mismatches(self, adapter: Adapter, settings: Settings, file: TensorFile, result: Loaded, step: Step) -> Loaded:
        if not result.mismatched:
            return result
        self.mismatched.extend(result.mismatched)
        faults = [self._with_hint(fault, adapter) for fault in faults_of_mismatch(self.wrapped, settings, file, result)]
        self.say(faults, adapter.name)
        if not (step.option("ignore_mismatched_sizes") and self.wrapped.release.can_ignore_sizes):
            raise MismatchRefusal("RuntimeError", self._mismatch_text(result.mismatched[0]), faults[0].reason)
        dropped = {mismatch.key for mismatch in result.mismatched}
        arrived = {key: sources for key, sources in result.arrived.items() if key not in dropped}
        return result._replace(arrived=arrived, missing=[k for k in result.keys if k in dropped or k in result.missing])

    def _mismatch_text(self, first: Mismatch) -> str:
        return (
            f"size mismatch for {first.key}: copying a param with shape torch.Size({list(first.checkpoint_shape)}) "
            f"from checkpoint, the shape in current model is torch.Size({list(first.model_shape)})."
        )

    def _with_hint(self, fault: Fault, adapter: Adapter) -> Fault:
        if "hint" not in fault.facts:
            return fault
        from adaptlint.runtimes.peft.vocabulary import size_hint

        return fault._replace(facts={**fault.facts, "hint": size_hint(self.wrapped.base, adapter.folder, fault)})

    def _account(self, adapter: Adapter, settings: Settings, file: TensorFile, result: Loaded) -> bool:
        reported = self._reported(result, settings, adapter.name)
        self.missing.extend(reported)
        self.unexpected.extend(result.unexpected)
        self.warned |= self._warns(adapter.name, reported, result)
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

    def _reported(self, result: Loaded, settings: Settings, name: str) -> list[str]:
        return warned_keys(result.missing, settings.method.prefix, name)

    def _warns(self, name: str, reported: list[str], result: Loaded) -> bool:
        told = [key for key in reported if result.keys[key].kind != "alias"]
        return bool(told) and name == self.first and self.wrapped.release.warns_missing


class MismatchRefusal(Refusal):
    """A size mismatch: its faults, one per tensor, are told already."""
