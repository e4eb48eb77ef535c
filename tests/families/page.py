"""docs/families.md: which model types ship with a table, and why others have none."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

TABLES = ROOT / "adaptlint" / "bases" / "families"
LEFT_OUT = Path(__file__).with_name("left_out.json")
FLOWS = ROOT / "adaptlint" / "dataflow" / "families"
NO_FLOW = Path(__file__).with_name("no_flow.json")
KINDS = {
    "causal": "AutoModelForCausalLM",
    "masked": "AutoModelForMaskedLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
    "image": "AutoModelForImageClassification",
}
HEAD = """# Families that need nothing installed

Written by `make families`: the model types whose modules and shapes adaptlint knows from their `config.json` alone.
Behind each class stands how many fresh configs, drawn after the table was learnt, gave the record of a live build, key
by key; a class with one that did not has no table. A config that lies outside of what a table has seen (another kind of
value, a relation between sizes that builds refuse) goes to the live build. How tables are made: [decision
8](decisions/0008-shipped-families.md).

The last column has the classes whose forwards ship as well, by attention backend, so that `adaptlint graph --flow`
needs nothing installed; behind each class stands how many fresh configs had the graph of a live recording.
"""
WITHOUT = "Tried, and left out; a backend that a class does not support by its own word is not listed."


def tables() -> dict[str, dict[str, Any]]:
    """Every shipped table by model type."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(TABLES.glob("*.json"))}


def flows() -> dict[str, dict[str, dict[str, int]]]:
    """Model type -> backend -> class -> how many fresh configs had the graph of a live recording."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for path in sorted(FLOWS.glob("*.json.z")):
        table = json.loads(zlib.decompress(path.read_bytes()))
        model_type = path.name.removesuffix(f".{table['backend']}.json.z")
        counts = {name: entry["verified"] for name, entry in table["classes"].items()}
        found.setdefault(model_type, {})[table["backend"]] = counts
    return found


def families_page() -> str:
    """The page, from the tables themselves and the lists of what was left out."""
    found, graphs = tables(), flows()
    made_with = ", ".join(sorted({f"transformers {table['made_with']['transformers']}" for table in found.values()}))
    counts = {kind: sum(_has(table, auto) for table in found.values()) for kind, auto in KINDS.items()}
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    pairs = sum(map(len, graphs.values()))
    lines = [HEAD, f"{len(found)} model types ({told}), recorded with {made_with}.", ""]
    lines += [f"Forwards of {len(graphs)} of them ship, {pairs} with each attention backend counted.", ""]
    lines += ["| model type | classes | left out of the config | forwards |", "| --- | --- | --- | --- |"]
    for model_type, table in found.items():
        classes = ", ".join(f"{name} {table['verified'][name]}" for name in table["classes"])
        rope = [] if "told" in table.get("rope", {"told": 1}) else ["rope_parameters"]
        forwards = "; ".join(_forwards(backend, counts) for backend, counts in graphs.get(model_type, {}).items())
        lines.append(f"| {model_type} | {classes} | {', '.join([*table['untold'], *rope])} | {forwards} |")
    lines += ["", "## Without a table", "", "| model type | why |", "| --- | --- |"]
    for model_type, reasons in sorted(json.loads(LEFT_OUT.read_text(encoding="utf-8")).items()):
        for name, why in reasons.items():
            said = " ".join(why.split()).replace("|", "/")[:160]
            lines.append(f"| {model_type} | {f'{name}: ' if name else ''}{said} |")
    lines += ["", "## Without a forward", "", WITHOUT, "", "| model type | backend | class | why |", "| --- " * 4 + "|"]
    for model_type, backends in json.loads(NO_FLOW.read_text(encoding="utf-8")).items():
        for backend, classes in backends.items():
            for name, why in classes.items():
                lines.append(f"| {model_type} | {backend} | {name} | {' '.join(why.split()).replace('|', '/')[:160]} |")
    return "\n".join([*lines, ""])


def _forwards(backend: str, counts: dict[str, int]) -> str:
    return f"{backend}: {', '.join(f'{name} {count}' for name, count in counts.items())}"


def _has(table: dict[str, Any], auto: str) -> bool:
    entry = table["auto"].get(auto, [])
    return any(name in table["classes"] for name in (entry if isinstance(entry, list) else [entry]))
