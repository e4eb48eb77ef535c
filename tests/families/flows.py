"""`python -m tests.families.flows`: the shipped graphs, learnt from forwards of the installed transformers.

A class's graphs are written only after fresh configs, drawn after the learning was done, and the class's own default
gave the graphs of live recordings.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import warnings
import zlib
from pathlib import Path
from typing import Any

from adaptlint.dataflow.load import BACKENDS
from adaptlint.dataflow.shipped import FOLDER
from tests.families.flow_exploring import Failed
from tests.families.flow_learning import Pool
from tests.families.flow_recording import FlowRecording, table_of
from tests.families.flow_trials import Recorder
from tests.families.keys import named_in
from tests.families.live import auto_tables, classes_of, native_kernels, quick
from tests.families.page import NO_FLOW, tables
from tests.families.space import PADDING, NoSpace, Space, sources_of

FIRST_OF = ("AutoModelForMaskedLM", "AutoModelForSeq2SeqLM")
"""Types that have these have a causal class for the sake of completeness."""


def classes_in_order(model_type: str) -> list[str]:
    """The classes that have a table of shapes, the most used first."""
    auto = auto_tables(model_type)
    first = [auto[name] for name in FIRST_OF if isinstance(auto.get(name), str)]
    names = dict.fromkeys([*first, *classes_of(auto)])
    return [name for name in names if name in tables()[model_type]["classes"]]


class Tables:
    """The graphs of one model type in the making; what was found of one class and backend serves the next."""

    def __init__(self, model_type: str, names: list[str]) -> None:
        import transformers
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING

        self.model_type = model_type
        self.config_class = CONFIG_MAPPING[model_type]
        self.classes = {name: getattr(transformers, name) for name in names if hasattr(transformers, name)}
        self.known: dict[str, FlowRecording] = {}
        self.why: dict[str, dict[str, str]] = {}

    def table(self, backend: str) -> dict[str, Any] | None:
        """The table of a backend; None where no class has a graph. `why` has the reasons."""
        entries: dict[str, Any] = {}
        pool = Pool()
        for name in self.classes:
            begun = time.monotonic()
            try:
                recording, (entry, count) = self._learnt(name, backend, pool)
                entries[name] = {**entry, "verified": count}
                self.known[name] = recording
                said = f"{count} right, {len(entry['variants'])} variants"
            except Exception as why:  # transformers raises whatever a config's values provoke
                kind = "" if isinstance(why, Failed | NoSpace) else f"{type(why).__name__}: "
                self.why.setdefault(backend, {})[name] = said = f"{kind}{why}"[:600]
            print(f"{name} {backend}: {said} ({time.monotonic() - begun:.0f} s)", flush=True)
        return table_of(backend, entries, pool) if entries else None

    def _learnt(self, name: str, backend: str, pool: Pool) -> tuple[FlowRecording, tuple[dict[str, Any], int]]:
        """With what is known of another class or backend; on its own where that leads nowhere."""
        known = self.known.get(name) or next(iter(self.known.values()), None)
        recording = self._recording(name, backend, pool, known)
        try:
            return recording, recording.run()
        except Failed:
            if known is None:
                raise
        recording = self._recording(name, backend, pool, None)
        return recording, recording.run()

    def _recording(self, name: str, backend: str, pool: Pool, known: FlowRecording | None) -> FlowRecording:
        sources = sources_of(self.config_class, [self.classes[name]])
        space = Space(self.model_type, self.config_class, sources)
        needed = {}
        if "ForSequenceClassification" in name and PADDING in space.fields and space.fields[PADDING].default is None:
            needed = {PADDING: 0}  # transformers finds the last token of each row by it
        space.start |= needed
        layered = frozenset(field for field in space.fields if space.layered(field))
        recorder = Recorder(self.config_class, name, backend, layered)
        recording = FlowRecording(space, recorder, named_in(sources), pool, known)
        recording.needed |= needed
        return recording


def write(model_type: str, backend: str, table: dict[str, Any] | None, why: dict[str, str]) -> None:
    """Put a table into the package, and what has no graph, with the reason, into the list beside this file."""
    path = Path(FOLDER, f"{model_type}.{backend}.json.z")
    if table is None:
        path.unlink(missing_ok=True)
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zlib.compress(json.dumps(table, separators=(",", ":")).encode(), 9))
    left_out = json.loads(NO_FLOW.read_text(encoding="utf-8")) if NO_FLOW.exists() else {}
    own = {key: text for key, text in why.items() if "does not support" not in text}
    known = {key: part for key, part in left_out.get(model_type, {}).items() if key != backend}
    left_out[model_type] = {**known, **({backend: own} if own else {})}
    told = {key: part for key, part in left_out.items() if part}
    NO_FLOW.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Record, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model_types", nargs="*")
    parser.add_argument("--backend", action="append", choices=BACKENDS)
    parser.add_argument("--classes", type=int, help="so many of each model type, the most asked for first")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    native_kernels()
    gc.set_threshold(200_000, 20, 20)
    with quick():
        for model_type in options.model_types or tables():
            made = Tables(model_type, classes_in_order(model_type)[: options.classes])
            for backend in options.backend or BACKENDS:
                table = made.table(backend)
                if options.write:
                    write(model_type, backend, table, made.why.get(backend, {}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
