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

DOC = Path(__file__).resolve().parents[2] / "docs" / "dataflow.md"
KINDS = {
    "causal": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "masked": "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
    "seq2seq": "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "image": "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES",
    "image-text": "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
}
DEPTHS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers", "depth")
LAYERS = 2
THIRD = {"batch": 53, "seq": 31, "decoder_seq": 43}
LIMIT = 60  # seconds that one class may take
MEMORY = 9 << 30  # bytes of address space that one class may take


class Row(NamedTuple):
    """What came of one class: exact, unknown in part, wrong, or no graph, and why."""

    kind: str
    model_type: str
    model_class: str
    result: str
    modules: int = 0
    told: int = 0
    why: str = ""


def classes() -> list[tuple[str, str, str]]:
    """(kind, model type, class name) of every entry of the Auto tables."""
    from transformers.models.auto import modeling_auto

    return [
        (kind, model_type, name if isinstance(name, str) else name[0])
        for kind, table in KINDS.items()
        for model_type, name in getattr(modeling_auto, table).items()
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
        except Exception:  # a class may not stand fewer layers than its own
            return compared(kind, model_type, name, backend, whole)
    except FlowProblem as problem:
        return Row(kind, model_type, name, "no graph", why=str(problem))
    except BaseException as problem:  # a default config may be no model at all
        return Row(kind, model_type, name, "no graph", why=f"{type(problem).__name__}: {problem}"[:200])


def compared(kind: str, model_type: str, name: str, backend: str, config: dict[str, Any]) -> Row:
    """The graph of one config at a third set of sizes, beside its own forward there."""
    from adaptlint.bases.meta_build import silence
    from adaptlint.dataflow.propagate import propagate
    from adaptlint.dataflow.record import build, record, trace_at

    graph, doubt = record(config, name, backend)
    if doubt:
        return Row(kind, model_type, name, "live only", why=doubt)
    sizes = {symbol: THIRD[symbol] for symbol in graph.symbols}
    moved = propagate(graph, sizes)
    with silence():
        real = trace_at(build(config, name, backend), sizes)
    shapes = real.shapes()
    wrong = [path for path, found in moved.modules.items() if shapes.get(path) != found]
    result = "wrong" if wrong or moved.conflict else "exact" if not moved.unknown else "in part"
    why = f"{wrong[:2]} {moved.conflict or ''}" if result == "wrong" else next(iter(moved.unknown.values()), "")
    return Row(kind, model_type, name, result, len(shapes), len(moved.modules), why)


def work(job: tuple[str, str, str, str], answer: Connection) -> None:
    """One class in a process of its own."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    answer.send(swept(*job))


def alone(job: tuple[str, str, str, str]) -> Row:
    """What a process of its own says of one class, which may need too long or too much memory."""
    kind, model_type, name, _ = job
    reader, writer = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=work, args=(job, writer))
    process.start()
    writer.close()
    try:
        row = reader.recv() if reader.poll(LIMIT) else None
    except EOFError:
        row = Row(kind, model_type, name, "no graph", why="the process ended without an answer")
    process.kill()
    process.join()
    row = row or Row(kind, model_type, name, "no graph", why=f"more than {LIMIT} s")
    print(f"{row.result:9} {row.model_class} {row.why[:140] if row.result != 'exact' else ''}", file=sys.stderr)
    return row


def table(rows: list[Row], backend: str) -> list[str]:
    """Counts by kind, and every class that is not exact with its reason."""
    lines = [f"## {backend}", "", "| kind | classes | exact | in part | live only | no graph | wrong |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        by_kind[row.kind][row.result] += 1
    for kind, counts in by_kind.items():
        cells = [counts[result] for result in ("exact", "in part", "live only", "no graph", "wrong")]
        lines.append(f"| {kind} | {sum(counts.values())} | {' | '.join(map(str, cells))} |")
    lines += ["", "| class | kind | result | why |", "| --- | --- | --- | --- |"]
    for row in rows:
        if row.result != "exact":
            why = " ".join(row.why.replace("|", "/").split())[:160]
            lines.append(f"| {row.model_class} ({row.model_type}) | {row.kind} | {row.result} | {why} |")
    return [*lines, ""]


def main() -> None:
    """Sweep the backends that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", action="append", default=[])
    parser.add_argument("--only", default="")
    parser.add_argument("--kind", default="")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    told: list[str] = []
    for backend in options.backend or ["eager"]:
        chosen = [
            (*entry, backend)
            for entry in classes()
            if re.search(options.only, f"{entry[1]} {entry[2]}") and options.kind in ("", entry[0])
        ]
        with ThreadPoolExecutor(options.jobs) as threads:
            told += table(list(threads.map(alone, chosen)), backend)
    print("\n".join(told))
    if options.write:
        head = DOC.read_text(encoding="utf-8").partition("## eager")[0] if DOC.exists() else ""
        DOC.write_text(head + "\n".join(told), encoding="utf-8")


if __name__ == "__main__":
    main()
