"""`PYTHON -m tests.hub.graph_record`: the tables of the installed release, learnt from recordings of many configs.

Run in a release's own environment (`make hub-graphs` does so for each). What fresh configs do not confirm is not
written, and printed with its reason.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from adaptlint.runtimes.adapters.recorded import (
    FOLDER,
    TABLE_FORMAT,
    Raises,
    graph_from,
    is_allowed,
    read_table,
    resolved,
)
from tests.hub.graph_classes import Known, nested
from tests.hub.graph_expressions import NoExpression
from tests.hub.graph_forward import BACKENDS, Recorded, comparable, difference, forwards
from tests.hub.graph_heads import HEADS, headed
from tests.hub.graph_learn import Learner, graph_template
from tests.hub.graph_settings import allowed
from tests.hub.graph_specs import SPECS, Spec, Variant
from tests.hub.graph_unread import without_unread

SAMPLES = 4
LEFT_OUT = Path(__file__).with_name("graph_left_out.json")
"""Release -> model type -> what no table has, and why; written with the tables."""


class Recorder:
    """One spec: its variants are learnt one after the other into one table."""

    def __init__(
        self, spec: Spec, release: str, transformers: str, seed: int, table: dict[str, Any] | None = None
    ) -> None:
        """`table` is that of the bare model, which a class with a head is put beside."""
        self.spec = spec
        self.known = Known(spec)
        self.rng = Random(seed)
        self.left_out: list[str] = []
        self.shared: list[Any] = [*table["shared"]] if table else []
        self.places = {json.dumps(one, sort_keys=True): number for number, one in enumerate(self.shared)}
        if table:
            self.table = {**table, "shared": self.shared}
            table["classes"][spec.model_class] = {"variants": []}
            return
        self.table = {
            "format": TABLE_FORMAT,
            "release": release,
            "transformers": transformers,
            "defaults": self.known.defaults,
            "aliases": self.known.aliases,
            "fallbacks": {n: e for n, e in spec.fallbacks.items() if n in self.known.names},
            "shared": self.shared,
            "classes": {spec.model_class: {"variants": []}},
        }

    def run(self) -> None:
        """Every variant; those that share nothing with a config of the class are left out."""
        for number, variant in enumerate(self.spec.variants):
            if not all(name in self.known.names for name in (*variant.settings, *variant.sizes)):
                continue
            entry = self.learnt(variant, number)
            if entry["graphs"]:
                self.table["classes"][self.spec.model_class]["variants"].append(entry)

    def learnt(self, variant: Variant, number: int) -> dict[str, Any]:
        """One variant: sizes become expressions, settings are tried, fresh configs have to agree."""
        learner = Learner(self.spec, variant, self.known, self.rng)
        samples = learner.samples(SAMPLES)
        recorded = [self.recorded(nested(self.spec, {**sizes, **learner.settings})) for sizes in samples]
        graphs: dict[str, int] = {}
        for key in recorded[0]:
            found = [one[key] for one in recorded]
            try:
                graphs[key] = self.share(graph_template(found, learner.search(samples), self.share))
            except NoExpression as why:
                self.left_out.append(f"variant {number} {key}: {why}")
        entry = learner.entry(graphs)
        self.try_settings(learner, entry)
        self.verified(learner, entry, number)
        return entry

    def recorded(self, config: dict[str, Any], backends: tuple[str, ...] = BACKENDS) -> dict[str, Recorded]:
        """The forwards of a config under every backend."""
        found: dict[str, Recorded] = {}
        for backend in backends:
            found |= forwards(config, self.spec.model_class, backend)
        return found

    def share(self, template: Any) -> int:
        """The number of a shared template."""
        text = json.dumps(template, sort_keys=True)
        if text not in self.places:
            self.places[text] = len(self.shared)
            self.shared.append(template)
        return self.places[text]

    def try_settings(self, learner: Learner, entry: dict[str, Any]) -> None:
        """What the settings may be beside the canonical ones."""
        sizes = learner.shallow()
        recorded = self.recorded(nested(self.spec, {**sizes, **learner.settings}))
        keys = [key for key in entry["graphs"] if not isinstance(recorded[key], dict)]
        wanted = {key: comparable(recorded[key]) for key in keys}  # type: ignore[arg-type]
        backends = tuple(dict.fromkeys(key.split(".")[0] for key in keys))

        def same(changed: Any) -> bool:
            config = nested(self.spec, {**sizes, **learner.settings, **changed})
            for backend in backends:
                found = self.recorded(config, (backend,))
                for key in keys:
                    if key in found and (isinstance(found[key], dict | str) or comparable(found[key]) != wanted[key]):  # type: ignore[arg-type]
                        return False
            return True

        settings = self.known.settings(nested(self.spec, {**sizes, **learner.settings}), {*sizes, *entry["sizes"]})
        settings |= {name: value for name, value in learner.settings.items() if name in settings}
        entry["turns"] = settings.pop("layer_types", [])[: self.spec.turns]
        entry["allowed"] = allowed(settings, same) if keys else {}
        entry["allowed"] |= {name: [None, False] for name in self.known.unnamed()}

    def verified(self, learner: Learner, entry: dict[str, Any], number: int) -> None:
        """Only what fresh configs confirm stays."""
        table = {**self.table, "classes": {self.spec.model_class: {"variants": [entry]}}}
        for name in [name for name in self.spec.nullable if name in entry["sizes"]]:
            config = nested(self.spec, {**learner.drawn(), **learner.settings, name: None})
            entry["nullable"].append(name)
            if self.disagreements(table, config, must=True):
                entry["nullable"].remove(name)
        for what, config, must in learner.fresh():
            for key, why in self.disagreements(table, nested(self.spec, config), must).items():
                if entry["graphs"].pop(key, None) is not None:
                    self.left_out.append(f"variant {number} {key}: {what}: {why}")

    def disagreements(self, table: dict[str, Any], config: dict[str, Any], must: bool) -> dict[str, str]:
        """Key -> how a filled template differs from a recording; a config without a graph is one if there `must`."""
        entry = table["classes"][self.spec.model_class]["variants"][0]
        found: dict[str, str] = {}
        recorded = self.recorded(config, tuple(dict.fromkeys(key.split(".")[0] for key in entry["graphs"])))
        for key in [*entry["graphs"]]:
            backend, mask = key.split(".")
            graph = graph_from(table, config, self.spec.model_class, backend, mask == "mask")
            seen = recorded[key]
            if graph is None:
                if must:
                    found[key] = f"no graph: {self.refused(table, config)}"
            elif isinstance(graph, Raises):
                if seen != {"raises": [*graph]}:
                    found[key] = f"does not raise {graph}"
            elif isinstance(seen, dict | str):
                found[key] = str(seen)[:200]
            elif why := difference(comparable(without_unread(graph)), comparable(without_unread(seen))):
                found[key] = why
        return found

    def refused(self, table: dict[str, Any], config: dict[str, Any]) -> list[str]:
        """The settings of a config that its variant does not allow."""
        names = resolved(table, config)
        allowed = table["classes"][self.spec.model_class]["variants"][0]["allowed"]
        return [f"{n}={names[n]}" for n, values in allowed.items() if n in names and not is_allowed(names[n], values)]

    def write(self) -> int:
        """The file; its size."""
        place = Path(FOLDER) / self.table["release"]
        place.mkdir(parents=True, exist_ok=True)
        data = packed(self.table)
        (place / f"{self.spec.model_type}.json.z").write_bytes(data)
        read_table.cache_clear()  # the next class is put beside this one
        return len(data)


def packed(table: Mapping[str, Any]) -> bytes:
    """A table as its file has it: a line for the table and one for each of its shared templates."""
    head = {name: part for name, part in table.items() if name != "shared"}
    lines = (json.dumps(part, separators=(",", ":")) for part in (head, *table["shared"]))
    return zlib.compress("\n".join(lines).encode(), 9)


def note_left_out(release: str, model_type: str, reasons: list[str]) -> None:
    """Keep the reasons beside those of other types and releases."""
    known = json.loads(LEFT_OUT.read_text(encoding="utf-8")) if LEFT_OUT.exists() else {}
    known.setdefault(release, {}).pop(model_type, None)
    if reasons:
        known[release][model_type] = [reason[:300] for reason in reasons]
    LEFT_OUT.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main() -> None:
    """Record; with --write into the package."""
    import adapters  # type: ignore[import-not-found, unused-ignore]
    import transformers

    parser = argparse.ArgumentParser()
    parser.add_argument("types", nargs="*")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--heads", action="store_true", help="classes with a head alone, beside the bare models")
    asked = parser.parse_args()
    if os.environ.get("PYTORCH_JIT") != "0":
        sys.exit("PYTORCH_JIT=0 has to be set before Python starts: scripted functions cannot be recorded.")
    for name in {transformers.CLIPTextConfig.model_type} - {*transformers.CONFIG_MAPPING}:  # transformers before 4.48
        transformers.AutoConfig.register(name, transformers.CLIPTextConfig)
    for spec in SPECS:
        if asked.types and spec.model_type not in asked.types:
            continue
        for model_class in HEADS.get(spec.model_type, ()) if asked.heads else ():
            put_beside(headed(spec, model_class), adapters.__version__, transformers.__version__, asked)
        if not asked.heads:
            put_beside(spec, adapters.__version__, transformers.__version__, asked)


def put_beside(spec: Spec, release: str, transformers: str, asked: argparse.Namespace) -> None:
    """Record one class into the table of its model type, and say what became of it."""
    begun, name = time.monotonic(), spec.model_class if asked.heads else spec.model_type
    try:
        table = read_table(release, spec.model_type) if asked.heads else None
        if asked.heads and table is None:
            return
        recorder = Recorder(spec, release, transformers, asked.seed, table)
        recorder.run()
    except Exception as why:
        reasons = [f"FAILED {type(why).__name__}: {why}"]
        print(f"{name}: {reasons[0]}"[:400], flush=True)
        if asked.write:
            note_left_out(release, name, reasons)
        return
    variants = recorder.table["classes"][spec.model_class]["variants"]
    size = recorder.write() if asked.write and variants else 0
    if asked.write:
        note_left_out(release, name, recorder.left_out)
    covered = [sorted(variant["graphs"]) for variant in variants]
    print(f"{name}: {covered} {size} bytes, {time.monotonic() - begun:.0f} s", flush=True)
    for line in recorder.left_out:
        print(f"    {line}"[:300], flush=True)


if __name__ == "__main__":
    main()
