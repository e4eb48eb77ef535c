"""The record of a base from a table that ships with us: no torch, no transformers, one file read.

`families/<model_type>.json` holds what `python -m tests.families.record` learnt from live builds of one release of
transformers (docs/decisions/0008): templates over the config's own integers, what values were tried, and what relations
every config had that could be built. Whatever lies outside of that has no answer here.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping

from adaptlint.bases.resolved import flat, resolve
from adaptlint.bases.templates import Filling, NotCovered, holds
from adaptlint.bases.versions import installed_versions
from adaptlint.bases.wanted import buildable, note_storage, refuse_absurd
from adaptlint.findings import number_ranges
from adaptlint.hints import Any

FORMAT = 1
"""Goes up when the recorder writes something else."""
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "families")
RUN = "#"
"""Name of the children "0", "1", ... of a node, kept as a list in templates."""
_GUESSES = ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM", "AutoModelForImageTextToText", "AutoModel")
_MODEL_TYPE = re.compile(r"[a-z0-9][a-z0-9_.-]*")


def shipped_record(config: dict[str, Any], asked: str | None) -> dict[str, Any] | None:
    """What `meta_build.build_record` would return for this config, None where no table covers it.

    A table speaks for one release of transformers. It is used where that one is installed or none is.
    """
    table = read_table(family_of(config))
    if table is None:
        return None
    installed = installed_versions(("transformers",)).get("transformers")
    if installed not in (None, table["made_with"]["transformers"]):
        return None
    return record_from(table, config, asked)


def family_of(config: Mapping[str, Any]) -> str:
    """The model type whose config class reads this config, "" for none."""
    model_type = config.get("model_type")
    if model_type == "mistral" and "layer_types" in config:
        return "ministral"  # as AutoConfig.from_pretrained does
    return model_type if isinstance(model_type, str) else ""


def read_table(model_type: str) -> dict[str, Any] | None:
    """The table of a model type, None for a type that has none."""
    if not _MODEL_TYPE.fullmatch(model_type):
        return None
    try:
        with open(os.path.join(FOLDER, f"{model_type}.json"), encoding="utf-8") as stream:
            table = json.load(stream)
    except OSError:
        return None
    return table if table["format"] == FORMAT else None


def record_from(table: Mapping[str, Any], config: dict[str, Any], asked: str | None) -> dict[str, Any] | None:
    """The record by this table, None where it does not cover the config or the class."""
    try:
        return _record(table, config, asked)
    except NotCovered:
        return None


def _record(table: Mapping[str, Any], config: dict[str, Any], asked: str | None) -> dict[str, Any]:
    if refuse_absurd(config):
        raise NotCovered("absurd")
    raw = buildable(config)
    name, chosen_by = class_of(table, raw, config, asked)
    inputs, resolved = resolve(table, raw)
    known = table["classes"][name]
    names = {**flat(inputs), **flat(resolved), "num_labels": len(resolved["id2label"])}
    rates = (field for field in names if "drop" in field)
    if not all(_is_rate(names[field]) or names[field] is table["defaults"].get(field, "") for field in rates):
        raise NotCovered("a rate of dropout")
    filling = Filling(table["shared"], names)
    for condition in [*table["demands"], *known["demands"]]:
        if not _met(condition, names):
            raise NotCovered(str(condition))
    record = filling.fill(known["record"])
    record["tree"] = folded(record["tree"], {})
    record["features"] = {"chosen_by": chosen_by, **record["features"]}
    changes = filling.fill(known["changes"])
    record["config"] = {**resolved, **changes}
    record["made_with"] = dict(table["made_with"])
    note_storage(record, config)
    return {field: record[field] for field in FIELDS}


def _is_rate(value: Any) -> bool:
    """Whether torch's Dropout takes it, where it is a number at all."""
    return 0 <= value <= 1 if isinstance(value, int | float) else value is not None


def _met(condition: list[Any], names: dict[str, Any]) -> bool:
    """Whether a demand is met; demands are about numbers, and a null is none."""
    try:
        return holds(condition, names)
    except NotCovered:
        return True


FIELDS = (
    "model_type",
    "model_class",
    "made_with",
    "config",
    "tree",
    "ties",
    "aliases",
    "input_embedding",
    "output_embedding",
    "transforms",
    "features",
)


def class_of(
    table: Mapping[str, Any], raw: Mapping[str, Any], config: Mapping[str, Any], asked: str | None
) -> tuple[str, str]:
    """The class that `classes.choose` picks, and how. Raises NotCovered for one that the table lacks."""
    architectures = raw.get("architectures")
    architectures = architectures if isinstance(architectures, list) else []
    first = architectures[0] if architectures and isinstance(architectures[0], str) else None
    if first and first not in table["classes"] and first.lower() in map(str.lower, table["classes"]):
        first = None  # a name of the author's own: no two classes of transformers differ in upper case alone
    found: Any = None
    if not (asked and asked.startswith("Auto")) and (asked or first):
        found, chosen_by = asked or first, "asked" if asked else "architectures"
    else:
        named = [(auto, how) for auto, how in _auto_classes(config, asked) if auto in table["auto"]]
        if not named:
            raise NotCovered("class")
        found, chosen_by = table["auto"][named[0][0]], named[0][1]
    if isinstance(found, list):
        found = next((name for name in architectures if name in found), found[0])
    if found not in table["classes"]:
        raise NotCovered(f"class: {found}")
    return str(found), chosen_by


def _auto_classes(config: Mapping[str, Any], asked: str | None) -> list[tuple[str, str]]:
    """The Auto classes that are looked at in turn where no class is named."""
    if asked:
        return [(asked, "asked")]
    auto_map = config.get("auto_map")
    mapped = [name for name in auto_map if name.startswith("AutoModel")] if isinstance(auto_map, dict) else []
    return [(name, "auto_map") for name in mapped] + [(name, "guess") for name in _GUESSES]


def folded(node: dict[str, Any], done: dict[int, tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
    """A node as `folded.fold_modules` has it: equal numbered children are one entry. Shared nodes stay shared.

    Raises NotCovered for a parameter of no elements: a width of less than a head's share, which most classes refuse.
    """
    known = done.get(id(node))
    if known is not None:
        return known[1]
    if any(0 in shape for shape in node.get("params", {}).values()):
        raise NotCovered("a size of zero")
    result = dict(node)
    if "children" in node:
        children: dict[str, Any] = {}
        for name, child in node["children"].items():
            if name != RUN:
                children[name] = folded(child, done)
                continue
            groups: dict[str, tuple[list[int], dict[str, Any]]] = {}
            texts: dict[int, str] = {}
            for index, part in enumerate(child):
                if id(part) not in texts:
                    texts[id(part)] = repr(part)
                groups.setdefault(texts[id(part)], ([], part))[0].append(index)
            children.update((number_ranges(indices), folded(part, done)) for indices, part in groups.values())
        result["children"] = children
        if not children:
            del result["children"]
    done[id(node)] = (node, result)
    return result
