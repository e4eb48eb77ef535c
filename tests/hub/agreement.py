"""How often the verdict is what AdapterHub's library did: `python -m tests.hub.agreement RECORD... [--list]`.

A record is what breaking.py wrote, with its bases and their graphs (see `pack`).
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import adaptlint
from adaptlint.bases import Base, load_base
from adaptlint.dataflow.flow_graph import read_graph
from adaptlint.runtimes.adapters.graphs import keep_graph
from adaptlint.testing.torch_writing import write_torch
from adaptlint.testing.writing import Entry, write_safetensors
from tests.hub.edits import edited

Record = dict[str, Any]


class Row(NamedTuple):
    """One case: what was recorded, what the verdict is, and what differs."""

    key: str
    edits: list[list[Any]]
    wanted: Record
    verdict: Record
    differs: tuple[str, ...]


class Shapes:
    """Tensors of a case, as their shapes."""

    def __call__(self, shape: list[int]) -> list[int]:
        """One of that shape."""
        return shape

    def shape_of(self, tensor: list[int]) -> list[int]:
        """Its shape."""
        return tensor


def write_case(folder: Path, config: Record, tensors: Record, edits: list[list[Any]]) -> None:
    """The broken adapter as a folder."""
    config, tensors = edited(config, tensors, edits, Shapes())
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    entries = [Entry(name, "F32", tuple(shape)) for name, shape in tensors.items()]
    kinds = [edit[1:] for edit in edits if edit[0] == "safe"]
    if not kinds or kinds[0]:
        write_torch(str(folder / "pytorch_adapter.bin"), entries)
    if kinds:
        write_safetensors(str(folder / "adapter.safetensors"), entries)


def rows(record: Record) -> Iterator[Row]:
    """Every case of a record, judged. The cache folder must be one of the caller's own."""
    version, target = record["version"], f"adapters=={record['version']}"
    with tempfile.TemporaryDirectory() as place:
        models = {name: _base(Path(place) / "bases" / name, told, version) for name, told in record["bases"].items()}
        for number, (key, edits, wanted) in enumerate(record["cases"]):
            config, tensors = record["adapters"][key]
            folder = Path(place) / str(number)
            write_case(folder, config, tensors, edits)
            model, cls = models[key.partition("|")[0]]
            name = next((edit[1] for edit in edits if edit[0] == "load_as"), "ada")
            report = adaptlint.check(model, [(name, str(folder))], targets=(target,), model_class=cls).to_dict()
            verdict: Record = report["verdicts"][0]  # type: ignore[index]
            if verdict["stage"] in (None, "forward") and verdict["steps"]:  # of a forward the record says nothing
                verdict = {**verdict, "outcome": verdict["steps"][-1]["outcome"]}
            yield Row(key, edits, wanted, verdict, tuple(_differences(wanted, verdict)))


def _base(folder: Path, told: Record, version: str) -> tuple[str, str]:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(told["config"]))
    base = load_base(str(folder), model_class=told["class"])
    assert isinstance(base, Base), base
    if "graph" in told:
        graph = read_graph(told["graph"])
        assert graph is not None
        keep_graph(graph, base, version)
    return str(folder), told["class"]


def _differences(wanted: Record, verdict: Record) -> Iterator[str]:
    """What of the verdict is not as recorded; "unknown" is none of it."""
    if verdict["outcome"] == "unknown":
        return
    if wanted["outcome"] != verdict["outcome"]:
        yield "outcome"
        return
    if wanted["outcome"] == "fails":
        error = verdict["error"] or {}
        if error.get("type") != wanted["error"]["type"]:
            yield "error type"
        if error.get("match", " ") not in wanted["error"]["message"]:
            yield "error text"
        return
    for said, told in (("missing_keys", "missing"), ("unexpected_keys", "unexpected"), ("ignored", "ignored")):
        if told in wanted and sorted(verdict[said]) != sorted(wanted[told]):
            yield told
    ours, theirs = set(verdict["left_at_init"]), wanted.get("left")
    if theirs is not None and (not ours <= set(theirs) or bool(ours) != bool(theirs)):
        yield "left"


def told_of(record: Record, listed: bool = False) -> list[str]:
    """The figures of a record, and its disagreements if they are asked for."""
    found = list(rows(record))
    right = [row for row in found if not row.differs and row.verdict["outcome"] != "unknown"]
    unknown = [row for row in found if row.verdict["outcome"] == "unknown"]
    alarms = [row for row in found if row.wanted["outcome"] == "works" and row.verdict["outcome"] in ("fails", "wrong")]
    outcomes = [row for row in found if "outcome" not in row.differs]
    lines = [
        f"cases {len(found)}, {dict(collections.Counter(row.wanted['outcome'] for row in found))}",
        f"agree in everything {100 * len(right) / len(found):.2f} %, unknown {len(unknown)}",
        f"outcome agrees or is unknown {100 * len(outcomes) / len(found):.2f} %, false alarms {len(alarms)}",
    ]
    for row in found if listed else ():
        if row.differs or row.verdict["outcome"] == "unknown":
            told = {name: row.verdict[name] for name in ("outcome", "error", "left_at_init", "ignored")}
            lines += [f"{row.key} {row.edits} {row.differs}", f"   {row.wanted}"[:260], f"   {told}"[:260]]
    return lines


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser()
    options.add_argument("records", type=Path, nargs="+")
    options.add_argument("--list", action="store_true")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["ADAPTLINT_CACHE"] = cache
        for path in asked.records:
            print(path.name, *told_of(json.loads(path.read_text()), asked.list), sep="\n  ")


if __name__ == "__main__":
    main()
