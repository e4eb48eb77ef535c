"""Recorded forwards of models that AdapterHub has wrapped, for any config of a known architecture.

`recorded_graphs/<release>/<model_type>.json.z` holds what `make hub-graphs` learnt from recordings of many configs in
that release's own environment (its transformers release is in the table): flow graphs as templates over the config's
integers, with the settings and sizes under which they hold. Each was held against fresh recordings of other configs. A
config outside of that has no graph here. The file is text of one line of JSON for the table and one for each template
that graphs share, of which a config needs a few.

A graph's calls are kept as repeats. A repeat stands for `calls` calls that go through the entries of `cycle` in turn;
an entry is [template, prefix, first layer, step, given, then], and the layer goes up by `step` with every turn. A ref
is [0, calls back, node, output] within a repeat and [1 + repeat, calls before its end, node, output] into an earlier.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

from adaptlint.bases.templates import Filling, NotCovered, evaluate, holds
from adaptlint.dataflow.flow_graph import FORMAT, FlowGraph, Ref, Run, integers, read_graph
from adaptlint.dataflow.runs import joined
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

TABLE_FORMAT = 2
INNER = ("encoder", "decoder", "text_config", "vision_config")
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recorded_graphs")
ANY_INT = "#int"
ANY_INTS = "#ints"
ANY_POSITIVE = "#positive"
_MODEL_TYPE = re.compile(r"[a-z0-9][a-z0-9_-]*")


class SharedTemplates(Sequence[Any]):
    """The shared templates of a table; each is parsed when it is first asked for."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = lines
        self._parsed: dict[int, Any] = {}
        self._filling: Filling | None = None

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, number: Any) -> Any:
        if number not in self._parsed:
            self._parsed[number] = json.loads(self._lines[number])
        return self._parsed[number]

    def filling(self, names: Mapping[str, Any]) -> Filling:
        """The one of this config, kept: graphs of one config have most of their templates in common."""
        if self._filling is None or self._filling.names != names:
            self._filling = Filling(self, names)
        return self._filling


class Raises(NamedTuple):
    """What building or running the class raises under this backend, whatever adapters are active."""

    kind: str
    text: str


def recorded_graph(
    config: Mapping[str, Any], model_class: str, release: str, backend: str, masked: bool
) -> FlowGraph | Raises | None:
    """The forward of a class that `adapters` of this release has wrapped; None where no table covers the config.

    `config` is the base's config.json; `masked`: an attention mask is given. Nothing is imported that is not ours.
    """
    model_type = config.get("model_type")
    table = read_table(release, model_type) if isinstance(model_type, str) else None
    return None if table is None else graph_from(table, config, model_class, backend, masked)


@lru_cache(maxsize=8)
def read_table(release: str, model_type: str) -> dict[str, Any] | None:
    """The table of a model type in a release of `adapters`; None where there is none."""
    if not _MODEL_TYPE.fullmatch(model_type):
        return None
    folders = next((parts for _, parts, _ in os.walk(FOLDER)), [])
    if release not in folders:
        return None
    try:
        with open(os.path.join(FOLDER, release, f"{model_type}.json.z"), "rb") as stream:
            head, *lines = zlib.decompress(stream.read()).split(b"\n")
    except OSError:
        return None
    table: dict[str, Any] = {**json.loads(head), "shared": SharedTemplates(lines)}
    return table if table["format"] == TABLE_FORMAT else None


def graph_from(
    table: Mapping[str, Any], config: Mapping[str, Any], model_class: str, backend: str, masked: bool
) -> FlowGraph | Raises | None:
    """The graph that a table has for a config, None where it does not speak of it."""
    known = table["classes"].get(model_class, {})
    key = f"{backend}.{'mask' if masked else 'no_mask'}"
    try:
        names = resolved(table, config)
        for variant in known.get("variants", ()):
            if key in variant["graphs"] and all(holds(condition, names) for condition in variant["when"]):
                break
        else:
            return None
        if not _within(variant, names):
            return None
        shared = table["shared"]
        filling = shared.filling(names) if isinstance(shared, SharedTemplates) else Filling(shared, names)
        filled = filling.fill({"$=": variant["graphs"][key]})
        return Raises(*filled["raises"]) if "raises" in filled else _graph(filled, names)
    except NotCovered:
        return None


def resolved(table: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names of the config class -> values, with its defaults, its other names, and its own idea of a null."""
    names = dict(table["defaults"])
    for name, value in flat(config):
        head, _, last = name.rpartition(".")
        alias = table["aliases"].get(head, {}).get(last, last)
        names[f"{head}.{alias}" if head else alias] = value
    labels = config.get("id2label")  # which go before num_labels (configuration_utils.py, transformers 4)
    names["num_labels"] = len(labels) if isinstance(labels, dict) else names.get("num_labels", 2)
    for name, expression in table["fallbacks"].items():
        if names.get(name) is None:
            names[name] = evaluate(expression, names)
    return names


def flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Dotted names and values; an inner config is a dictionary with a model type of its own or a known name."""
    found: list[tuple[str, Any]] = []
    for name, value in config.items():
        if isinstance(value, dict) and (name in INNER or "model_type" in value):
            found += flat(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, value))
    return found


def _within(variant: Mapping[str, Any], names: Mapping[str, Any]) -> bool:
    """Whether sizes and settings are such as were tried."""
    for name, least in variant["sizes"].items():
        value = names.get(name)
        if (type(value) is not int or value < least) and (value is not None or name not in variant["nullable"]):
            return False
    if not _cyclic(names.get("layer_types"), variant["turns"], names):
        return False
    if not all(name not in names or is_allowed(names[name], values) for name, values in variant["allowed"].items()):
        return False
    return all(holds(condition, dict(names)) for condition in variant["demands"])


def _cyclic(kinds: Any, turns: Sequence[str], names: Mapping[str, Any]) -> bool:
    """Whether the layers' kinds, where the config lists them, are those that were recorded, in turns."""
    if kinds is None or not turns:
        return kinds is None
    count = names.get("num_hidden_layers")
    return isinstance(count, int) and kinds == [turns[at % len(turns)] for at in range(count)]


def is_allowed(value: Any, values: Sequence[Any]) -> bool:
    """Whether a setting's value is one of those that were tried, or of a kind that makes no difference."""
    if isinstance(value, dict) and (
        "rope_type" in value or "type" in value
    ):  # a kind of rotary embedding: its numbers change no shape
        kind = value.get("rope_type", value.get("type"))
        return any(isinstance(one, dict) and one == {"rope_type": kind} for one in values)
    number = type(value) in (int, float)
    for one in values:
        if one == ANY_INT and type(value) is int:
            return True
        if one == ANY_INTS and type(value) is list and all(type(part) is int for part in value):
            return True
        if one == ANY_POSITIVE and number and value > 0:
            return True
        if one == value and isinstance(one, bool) == isinstance(value, bool):
            return True
    return False


def _graph(filled: dict[str, Any], names: dict[str, Any]) -> FlowGraph | None:
    calls, outputs = expanded(filled["repeats"], filled["outputs"])
    counts = [len(template[0]) for template in filled["templates"]]
    taken = (*(ref for call in calls for ref in call.given), *outputs.values())
    if any(node >= counts[calls[call].template] for call, node, _ in taken):
        raise NotCovered("a repeat that ends where none was seen to end")
    runs, outputs = joined(calls, outputs)
    constants = sorted(integers(names))
    return read_graph(
        {**filled, "format": FORMAT, "runs": runs, "outputs": outputs, "assumed": [], "constants": constants}
    )


def expanded(
    repeats: Sequence[Mapping[str, Any]], outputs: Mapping[str, Sequence[int]]
) -> tuple[list[Run], dict[str, Ref]]:
    """Every call as a run of its own, and the outputs. NotCovered where a repeat would not be called at all."""
    calls: list[Run] = []
    ends: list[int] = []

    def target(ref: Sequence[int]) -> Ref:
        place = ends[ref[0] - 1] if ref[0] else len(calls)
        return (place - ref[1], ref[2], ref[3])

    for repeat in repeats:
        cycle = repeat["cycle"]
        if repeat["calls"] < 1:
            raise NotCovered("too few layers")
        for number in range(repeat["calls"]):
            turn, at = divmod(number, len(cycle))
            template, prefix, first, step, given, then = cycle[at]
            taken = [target(ref) for ref in (then if turn else given)]
            calls.append(Run(template, prefix, first + turn * step, 1, 1, taken, []))
        ends.append(len(calls))
    return calls, {name: target(ref) for name, ref in outputs.items()}
