"""transformers' own door to PEFT: `PreTrainedModel.load_adapter`, which injects with PEFT and loads by itself.

Source: transformers 5.18 to 5.23, integrations/peft.py (load_adapter) and core_model_loading.py (rename_source_key,
convert_and_load_state_dict_in_model); PEFT 0.21.2, mapping.py (inject_adapter_in_model) and
utils/transformers_weight_conversion.py (build_peft_weight_mapping).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from adaptlint.artefacts import Malformed, TensorFile
from adaptlint.bases import Transform, rename_key
from adaptlint.findings import Fact, Fault, Mismatch, Where
from adaptlint.graph import Adapter
from adaptlint.runtimes.peft.conversion import natural_order, renaming, transforms_of
from adaptlint.runtimes.peft.loading import MAGNITUDE, Loaded
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.release import parse_version
from adaptlint.runtimes.peft.run import Run
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Origin, Wrapped

OLDEST = (5, 18)  # the first release that was read whose load_adapter is as it is here


def doubts_about_release(transformers: str) -> list[Fault]:
    """Why no verdict is given for this release of transformers; empty when one is."""
    if parse_version(transformers) >= OLDEST:
        return []
    problem = f"load_adapter of transformers {transformers} (releases from {'.'.join(map(str, OLDEST))} on are)"
    return [Fault("release-not-modelled", facts={"asked": transformers, "problem": problem})]


class IntegratedRun(Run):
    """A model that loads its adapters by itself: no PeftModel around it, and no warning but a report in the log."""

    target = "transformers"
    ops = ("load", "set", "disable")
    prefix = ""

    def _check_new(self, adapter: Adapter) -> None:
        """The name is free, and there is a config file."""
        if adapter.name in self.loaded:
            match = f"Adapter with name {adapter.name} already exists. Please use a different name."
            raise Refusal("ValueError", match, "adapter-name-taken", facts={"name": adapter.name})
        if adapter.config is not None or isinstance(adapter.folder, Malformed):
            return
        match = f"adapter model file not found in {adapter.path}."
        facts: dict[str, Fact] = {"found": list(adapter.folder.names)[:20] or ["nothing"]}
        raise Refusal("ValueError", match, "adapter-config-missing", at=Where(adapter.path), facts=facts)

    def _prepare(self, settings: Settings) -> None:
        """`inject_adapter_in_model`: the methods that this door does not let in."""
        method, at = settings.method, settings.where("peft_type")
        match = ""
        if method.is_prompt or method.adapts_attention or method.adapts_blocks:
            match = "`create_and_replace` does not support prompt learning, adaption prompt and shadow yet."
        elif method.shared_state:
            match = (
                f"`inject_adapter_in_model` does not support PeftType.{method.peft_type} because it uses shared state"
            )
        if match:
            facts: dict[str, Fact] = {"method": method.peft_type}
            raise Refusal("ValueError", match, "method-needs-peft-model", at=at, facts=facts)
        several = any(other.method is not method for other in self.loaded.values())
        if method.mixes_experts or method.shared or method.takes_any_shape or several:
            raise NotModelled("method-not-modelled", at=at, facts={"value": f"{method.peft_type} by this door"})

    def _wrap_for_task(self, name: str, settings: Settings, early: bool) -> None:
        """No class for a task is made."""

    def _copy(self, name: str, settings: Settings, file: TensorFile) -> Loaded:
        self.wrapped.active = name
        return load_tensors(self.wrapped, name, settings, file)

    def _account(self, adapter: Adapter, settings: Settings, file: TensorFile, result: Loaded) -> bool:
        lost = [key for key in result.missing if MAGNITUDE in key and adapter.name == result.keys[key].adapter]
        renamed = {key.removesuffix(".weight"): key for key in lost}
        asked = next((key for key in renamed if key in result.unexpected), None)
        if asked is not None:
            facts: dict[str, Fact] = {"asked": asked, "key": renamed[asked], "lost": len(lost)}
            at = settings.where("use_dora")
            self.say([Fault("magnitude-renamed-away", at=at, facts=facts, decides=True)], adapter.name)
        return super()._account(adapter, settings, file, result)

    def _mismatch_text(self, first: Mismatch) -> str:
        return "You set `ignore_mismatched_sizes` to `False`, thus raising an error."

    def _reported(self, result: Loaded, settings: Settings, name: str) -> list[str]:
        """The missing keys that have the adapter's name, or the method's, anywhere in them."""
        marks = (name, settings.method.peft_type.lower())
        return [key for key in result.missing if any(mark in key for mark in marks)]

    def _warns(self, name: str, reported: list[str], result: Loaded) -> bool:
        return bool(reported or result.unexpected)


def load_tensors(wrapped: Wrapped, adapter: str, settings: Settings, file: TensorFile) -> Loaded:
    """Rename every key of the file and copy what then has a parameter; nothing raises but another shape."""
    keys = wrapped.keys()
    renames, fusions = transforms_of(wrapped.base.transforms, adapter, settings.method.prefix)
    renames += _wrapper_renames(wrapped, adapter)
    prefix = str(wrapped.base.features.get("base_model_prefix") or "")
    arrived: dict[str, tuple[str, ...]] = {}
    unexpected: dict[str, tuple[str, ...]] = {}
    mismatched: list[Mismatch] = []
    for source in sorted([*file.tensors, *file.others], key=natural_order):
        key, fusion, _ = rename_key(source, renames, fusions)
        if fusion is not None:
            raise NotModelled("conversion-not-modelled", at=Where(file.path, (source,)), facts={"transform": "experts"})
        key = _with_prefix(key, prefix, keys)
        if key not in keys and source in keys:
            key = source
        if key not in keys or source not in file.tensors:
            unexpected[key] = (source,)
            continue
        arrived[key] = (source,)
        found, shape = file.tensors[source].shape, keys[key].shape
        if found != shape:
            mismatched.append(Mismatch(key, found, shape))
    return Loaded(arrived, [key for key in keys if key not in arrived], unexpected, mismatched, keys)


def _wrapper_renames(wrapped: Wrapped, adapter: str) -> Iterator[Transform]:
    """`adapter_state_dict_load_map` of every ModulesToSaveWrapper and TrainableTokensWrapper."""
    for path, copies in wrapped.saved.items():
        for name in copies.get(adapter, ()):
            yield renaming(f"{path}.{name}", f"{path}.modules_to_save.{adapter}.{name}")
    for path, rows in wrapped.tokens.items():
        if rows.get(adapter) is not None:
            stem = f"{path}.token_adapter.trainable_tokens_delta"
            yield renaming(stem, f"{stem}.{adapter}")


def _with_prefix(key: str, prefix: str, keys: dict[str, Origin]) -> str:
    """The end of rename_source_key: the base model's prefix is taken away or added where that gives a parameter."""
    if not prefix:
        return key
    shorter = re.sub(f"^{re.escape(prefix)}.", "", key, count=1)
    if key.startswith(prefix) and shorter in keys:
        return shorter
    return f"{prefix}.{key}" if f"{prefix}.{key}" in keys else key
