"""`python -m tests.dataflow.sweep`: every model type of the installed transformers, its forward recorded and run again.

A class counts as exact if every module's shapes at a third set of sizes are those of its own forward there. It measures
and prints; `--write` puts the table into docs/dataflow.md.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import resource
import sys
import warnings
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from adaptlint.dataflow.load import BACKENDS

DOC = Path(__file__).resolve().parents[2] / "docs" / "dataflow.md"
KINDS = {
    "causal": ("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",),
    "masked": ("MODEL_FOR_MASKED_LM_MAPPING_NAMES",),
    "seq2seq": ("MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",),
    "image": ("MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES",),
    "image-text": ("MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",),
    "audio": (
        "MODEL_FOR_CTC_MAPPING_NAMES",
        "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES",
        "MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES",
    ),
}
DEPTHS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers", "depth")
RESULTS = ("exact", "in part", "live only", "no graph", "wrong", "refused")
REFUSAL = "does not support"  # what our own message says, and transformers' of a part of the model
Entry = tuple[str, str, str]
OLDER = "## Older releases"  # the part of the page that tests.dataflow.releases writes
LAYERS = 2
THIRD = {"batch": 53, "seq": 31, "decoder_seq": 43, "question_seq": 17, "frames": 157, "samples": 3001, "patches": 59}
LIMIT = 60  # seconds that one class may take
MEMORY = 9 << 30  # bytes of address space that one class may take


class Row(NamedTuple):
    """What came of one class under one backend: one of RESULTS, and why."""

    kind: str
    model_type: str
    model_class: str
    backend: str
    result: str
    modules: int = 0
    told: int = 0
    why: str = ""


def classes() -> list[Entry]:
    """(kind, model type, class name) of every entry of the Auto tables."""
    from transformers.models.auto import modeling_auto

    return [
        (kind, model_type, name if isinstance(name, str) else name[0])
        for kind, tables in KINDS.items()
        for table in tables
        for model_type, name in getattr(modeling_auto, table, {}).items()
    ]


def shallow(config: dict[str, Any]) -> dict[str, Any]:
    """The same config with two layers, and lists of layers cut to as many."""
    deep = {name: config[name] for name in DEPTHS if isinstance(config.get(name), int) and config[name] > LAYERS}
    cut = {**config, **dict.fromkeys(deep, LAYERS)}
    for name, value in cut.items():
        if isinstance(value, dict):
            cut[name] = shallow(value)
        elif isinstance(value, list) and len(value) in deep.values():
            cut[name] = value[:LAYERS]
    return cut


def swept(kind: str, model_type: str, name: str, backend: str) -> Row:
    """Record one class and hold it against its own forward at other sizes."""
    from adaptlint.bases.meta_build import silence
    from adaptlint.dataflow.load import FlowProblem

    warnings.simplefilter("ignore")
    try:
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING

        with silence():
            whole = json.loads(CONFIG_MAPPING[model_type]().to_json_string(use_diff=False))
            config = shallow(whole)
        try:
            return compared(kind, model_type, name, backend, config)
        except Exception as problem:  # a class may not stand fewer layers than its own
            if REFUSAL in str(problem):
                raise
            return compared(kind, model_type, name, backend, whole)
    except FlowProblem as problem:
        refused = REFUSAL in str(problem)
        return Row(kind, model_type, name, backend, "refused" if refused else "no graph", why=str(problem))
    except BaseException as problem:  # a default config may be no model at all
        return Row(kind, model_type, name, backend, "no graph", why=f"{type(problem).__name__}: {problem}"[:200])


def compared(kind: str, model_type: str, name: str, backend: str, config: dict[str, Any]) -> Row:
    """The graph of one config at a third set of sizes, beside its own forward there."""
    from adaptlint.bases.meta_build import silence
    from adaptlint.dataflow.inputs import axes_of
    from adaptlint.dataflow.propagate import propagate
    from adaptlint.dataflow.record import build, record, trace_at

    graph, doubt = record(config, name, backend)
    if doubt:
        return Row(kind, model_type, name, backend, "live only", why=doubt)
    sizes = {symbol: THIRD[symbol] for symbol in graph.symbols}
    moved = propagate(graph, sizes)
    with silence():
        built = build(config, name, backend)
        same = [each for each in built.recipes if axes_of(each) == graph.inputs]
        real = trace_at(built._replace(inputs=same[0]), sizes)
    shapes = real.shapes()
    wrong = [path for path, found in moved.modules.items() if shapes.get(path) != found]
    result = "wrong" if wrong or moved.conflict else "exact" if not moved.unknown else "in part"
    why = f"{wrong[:2]} {moved.conflict or ''}" if result == "wrong" else next(iter(moved.unknown.values()), "")
    return Row(kind, model_type, name, backend, result, len(shapes), len(moved.modules), why)


def work(entry: Entry, backends: list[str], answer: Connection) -> None:
    """One class under every backend, in a process of its own."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for backend in backends:
        answer.send(swept(*entry, backend))


def alone(entry: Entry, backends: list[str]) -> list[Row]:
    """What a process of its own says of one class, which may need too long or too much memory."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=work, args=(entry, backends, writer))
    process.start()
    writer.close()
    rows: list[Row] = []
    why = ""
    for backend in backends:
        try:
            if not why and reader.poll(LIMIT):
                rows.append(reader.recv())
            else:
                rows.append(Row(*entry, backend, "no graph", why=why or f"more than {LIMIT} s"))
                why = rows[-1].why
        except EOFError:
            why = "the process ended without an answer"
            rows.append(Row(*entry, backend, "no graph", why=why))
    process.kill()
    process.join()
    for row in rows:
        told = row.why[:140] if row.result not in ("exact", "refused") else ""
        print(f"{row.result:9} {row.backend:18} {row.model_class} {told}", file=sys.stderr, flush=True)
    return rows


def counts(rows: list[Row], backend: str) -> list[str]:
    """One backend's results by kind."""
    lines = [f"## {backend}", "", f"| kind | classes | {' | '.join(RESULTS)} |", "| --- |" + " --- |" * 7]
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row.backend == backend:
            by_kind[row.kind][row.result] += 1
    for kind, found in by_kind.items():
        cells = [found[result] for result in RESULTS]
        lines.append(f"| {kind} | {sum(cells)} | {' | '.join(map(str, cells))} |")
    return [*lines, ""]


def exceptions(rows: list[Row]) -> list[str]:
    """Every class that is not exact with its reason, once for all backends that say the same."""
    swept_with = list(dict.fromkeys(row.backend for row in rows))
    told: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        if row.result in ("exact", "refused"):
            continue
        why = " ".join(row.why.replace(f" for {row.backend}", "").replace("|", "/").split())[:160]
        told.setdefault((f"{row.model_class} ({row.model_type})", row.kind, row.result, why), []).append(row.backend)
    asked: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.result != "refused":
            asked[f"{row.model_class} ({row.model_type})"].add(row.backend)
    lines = ["## Not exact", "", "| class | kind | backend | result | why |", "| --- | --- | --- | --- | --- |"]
    for (name, kind, result, why), found in told.items():
        where = "all" if len(swept_with) > 1 and set(found) == asked[name] else ", ".join(found)
        lines.append(f"| {name} | {kind} | {where} | {result} | {why} |")
    return [*lines, ""]


def main() -> None:
    """Sweep under the backends that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", action="append", choices=BACKENDS, help="default: each in turn")
    parser.add_argument("--only", default="", help="a regex over model type and class")
    parser.add_argument("--kind", default="")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sample", type=int, default=0, help="so many classes, drawn evenly from every kind")
    parser.add_argument("--rows", type=Path, help="a file for the results as JSON")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    backends = options.backend or list(BACKENDS)
    chosen = [
        entry
        for entry in classes()
        if re.search(options.only, f"{entry[1]} {entry[2]}") and options.kind in ("", entry[0])
    ]
    if options.sample:  # every so manieth, so that no kind and no end of the alphabet is left out
        chosen = [chosen[at * len(chosen) // options.sample] for at in range(min(options.sample, len(chosen)))]
    import_once()
    with ThreadPoolExecutor(options.jobs) as threads:
        rows = [row for several in threads.map(lambda entry: alone(entry, backends), chosen) for row in several]
    told = [line for backend in backends for line in counts(rows, backend)] + exceptions(rows)
    print("\n".join(told))
    if options.rows:
        options.rows.write_text(json.dumps([row._asdict() for row in rows]), encoding="utf-8")
    if options.write:
        head, _, rest = DOC.read_text(encoding="utf-8").partition("## ")
        older = rest.partition(OLDER)[2]
        DOC.write_text(head + "\n".join([*told, *([OLDER + older] if older else [])]), encoding="utf-8")


def import_once() -> None:
    """The libraries, before the processes part: each then imports its own modeling file only."""
    import torch
    import transformers.modeling_utils  # noqa: F401
    from transformers.models.auto import modeling_auto  # noqa: F401

    import adaptlint.dataflow.record  # noqa: F401

    torch.set_num_threads(1)


if __name__ == "__main__":
    main()
