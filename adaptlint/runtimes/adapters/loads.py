"""The load step of AdapterHub's library: from a folder to parameters, and what there is to say about it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from adaptlint.artefacts import Malformed, TensorFile
from adaptlint.bases import Base
from adaptlint.dataflow.flow_graph import FlowGraph
from adaptlint.findings import Fact, Fault, Mismatch, Where
from adaptlint.graph import Adapter
from adaptlint.graph.scene import CONFIG
from adaptlint.hints import Any
from adaptlint.runtimes.adapters.heads import load_head
from adaptlint.runtimes.adapters.hub_adapter import MADE, hub_parts, open_hub_config, open_hub_weights
from adaptlint.runtimes.adapters.hub_faults import faults_of_load
from adaptlint.runtimes.adapters.loading import Around, Loaded, load_tensors, mismatch_text
from adaptlint.runtimes.adapters.parts import Part
from adaptlint.runtimes.adapters.placing import Held, Place, place
from adaptlint.runtimes.adapters.release import HubRelease
from adaptlint.runtimes.adapters.sites import sites_of
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal

TASK = "text_task"  # the type of an adapter-transformers adapter whose coupling was never used


class HubLoads:
    """The wrapped model after the loads so far.

    `parts` and `held` have the methods and the parameters of each adapter by its name.
    """

    def __init__(self, base: Base, graph: FlowGraph, release: HubRelease) -> None:
        self.base = base
        self.release = release
        prefix = str(base.features.get("base_model_prefix") or "")
        sites = sites_of(graph, base.model_type, prefix)
        wraps = bool(prefix) and any(module.path == prefix for module in base.modules)
        self.place = Place(sites, release, prefix if wraps else "")
        self.prefix = prefix
        self.parts: dict[str, list[Part]] = {}
        self.held: dict[str, dict[str, Held]] = {}
        self.faults: list[Fault] = []
        self.missing: list[str] = []
        self.unexpected: list[str] = []
        self.mismatched: list[Mismatch] = []
        self.left: list[str] = []
        self.ignored: list[str] = []
        self.warned = False

    def say(self, faults: list[Fault], adapter: Adapter) -> None:
        """Note faults of one adapter."""
        self.faults.extend(fault._replace(adapter=adapter.name, target="adapters") for fault in faults)

    def load(self, adapter: Adapter, name: str) -> bool:
        """Load one adapter; True if every tensor takes effect as saved."""
        config = open_hub_config(adapter)
        found = hub_parts(adapter, config, self.release)
        if name not in self.held:
            self.held[name] = self._add(adapter, found, name)
            self.parts[name] = found
        saved_as = config.get("name")
        if isinstance(adapter.folder, Malformed):
            raise NotModelled(adapter.folder.reason)
        file = open_hub_weights(adapter.folder)
        if not isinstance(saved_as, str):
            facts: dict[str, Fact] = {"field": "name", "value": str(saved_as)}
            raise Refusal("KeyError", "name", "hub-config-refused", at=Where(self._config(adapter)), facts=facts)
        result = self._copy(adapter, config, file, (saved_as, name))
        held = self.held[name]
        faults = [
            *faults_of_load(held, file, result, (saved_as, name), self.saved_for(config)),
            *self._scale_faults(adapter, config, found),
            *load_head(adapter.folder, self.base, self.place.body),
        ]
        self.warned |= any(fault.reason == "hub-head-left" for fault in faults)
        self.say(faults, adapter)
        return bool(held) and not any(fault.decides for fault in faults)

    def _config(self, adapter: Adapter) -> str:
        return os.path.join(adapter.path, CONFIG)

    def _add(self, adapter: Adapter, found: list[Part], name: str) -> dict[str, Held]:
        at = Where(self._config(adapter), ("config",))
        try:
            held = place(found, name, self.place)
        except Refusal as refusal:
            refusal.fault = refusal.fault._replace(at=refusal.fault.at or at)
            raise
        except (TypeError, KeyError, ValueError, AttributeError, ArithmeticError, IndexError) as problem:
            raise NotModelled("method-not-modelled", at=at, facts={"value": "a config of another form"}) from problem
        if not held:
            kinds = sorted({part.kind for part in found})
            facts: dict[str, Fact] = {"method": ", ".join(kinds), "class": self.base.model_class or ""}
            self.say([Fault("hub-method-without-place", at=at, facts=facts, decides=True)], adapter)
        return held

    def _copy(self, adapter: Adapter, config: Mapping[str, Any], file: TensorFile, names: tuple[str, str]) -> Loaded:
        held = self.held[names[1]]
        others = {key: row for name, rows in self.held.items() if name != names[1] for key, row in rows.items()}
        around = Around(self.prefix, bool(self.place.body), self.base.parameters(), others)
        shapes = {key: row.shape for key, row in file.tensors.items()}
        result = load_tensors(held, shapes, names, around, self.release)
        unused = f"invertible_adapters.{names[1]}."
        if config.get("type") == TASK and any(unused in key for key in result.missing):
            result = result._replace(  # _fix_legacy_config: couplings that were never used are taken out again
                missing=[key for key in result.missing if unused not in key],
                left=[key for key in result.left if unused not in key],
            )
        if result.mismatched:
            self.mismatched.extend(result.mismatched)
            raise clash(result.mismatched, file, self.saved_for(config))
        self.missing.extend(result.missing)
        self.unexpected.extend(result.unexpected)
        self.left.extend(result.left)
        self.ignored.extend(result.ignored)
        return result

    def _scale_faults(self, adapter: Adapter, config: Mapping[str, Any], found: list[Part]) -> Iterator[Fault]:
        """A LoRA of a release that scales by alpha / r, in one that does not."""
        made = str(config.get("version", "")).removeprefix(MADE)
        if self.release.reads_alpha or not HubRelease(made).reads_alpha:
            return
        for part in found:
            if part.kind == "lora" and not part.config["use_gating"] and part.config["alpha"] != part.config["r"]:
                at = Where(self._config(adapter), ("config", "alpha"))
                facts: dict[str, Fact] = {"alpha": part.config["alpha"], "r": part.config["r"], "made_with": made}
                yield Fault("hub-scale-ignored", at=at, facts=facts)

    def saved_for(self, config: Mapping[str, Any]) -> dict[str, Fact]:
        """The model that the adapter was saved from, and the base, in words."""
        known = self.base.resolved_config
        size = known.get("hidden_size") or known.get("d_model") or known.get("n_embd") or known.get("dim")
        saved = f"{config.get('model_class')} ({config.get('model_type')}, hidden_size {config.get('hidden_size')})"
        return {"saved_for": saved, "base": f"{self.base.model_class} ({self.base.model_type}, hidden_size {size})"}


def clash(found: list[Mismatch], file: TensorFile, saved_for: Mapping[str, Fact]) -> Refusal:
    """Tensors of another size: torch names all of them, the finding the first."""
    first = found[0]
    facts: dict[str, Fact] = {
        "number": len(found),
        "key": first.key,
        "file_shape": list(first.checkpoint_shape),
        "model_shape": list(first.model_shape),
        **saved_for,
    }
    return Refusal("RuntimeError", mismatch_text(first), "hub-shape-disagrees", at=Where(file.path), facts=facts)
