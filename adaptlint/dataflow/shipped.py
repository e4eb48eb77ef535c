"""Graphs of known architectures that ship with us: no torch, no transformers, one file read.

`families/<model_type>.<backend>.json.z` holds what `python -m tests.families.flows` recorded of the classes of one
release of transformers (docs/decisions/0008): for each combination of settings, and for each outcome of the comparisons
that Python made of the config's integers, a graph as a template (bases/templates.py) over these integers. The shapes of
parameters and of buffers that are saved are those of the base's own table.

A `likeness` is a value with its size left out: settings of one likeness have the same graph, or one each.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping

from adaptlint.bases import Base, installed_versions
from adaptlint.bases.folded import find_node
from adaptlint.bases.resolved import flat
from adaptlint.bases.templates import Filling, NotCovered, holds
from adaptlint.dataflow.calls import ANOTHER
from adaptlint.dataflow.flow_graph import FORMAT as GRAPH_FORMAT
from adaptlint.dataflow.flow_graph import FlowGraph, Run, integers, path_in, read_graph, size_of
from adaptlint.dataflow.propagate import propagate
from adaptlint.dataflow.runs import joined
from adaptlint.dataflow.stacks import counted, returned, unstacked
from adaptlint.hints import Any

FORMAT = 1
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "families")
MAX_BYTES = 1 << 24
UNASKED = frozenset(
    {
        "_attn_implementation_autoset",
        "_name_or_path",
        "architectures",
        "dtype",
        "finetuning_task",
        "id2label",
        "label2id",
        "model_type",
        "problem_type",
        "quantization_config",
        "task_specific_params",
        "tokenizer_class",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)
"""Keys of a config that no forward without a cache and without labels asks for."""
MORE = {"output_attentions": False, "output_hidden_states": False, "return_dict": True}
"""What a config may ask for beside the answer, and usually does not."""
ENDS = "eos_token_id"
"""May be a list of tokens; where it makes no difference whether there is one, several make none."""
ROPE = "rope_parameters"
ROPE_NAMES = {"partial_rotary_factor": "partial_rotary_factor", "rotary_pct": "partial_rotary_factor"}


def shipped_graph(base: Base, backend: str) -> FlowGraph | None:
    """The graph of the base's class under this backend, None where no table covers it.

    A table speaks for one release of transformers. It is used where the base's shapes are of that one as well, and it
    is installed or none is.
    """
    table = read_table(base.model_type or "", backend)
    if table is None or base.made_with.get("transformers") != table["transformers"]:
        return None
    installed = installed_versions(("transformers",)).get("transformers")
    return graph_from(table, base) if installed in (None, table["transformers"]) else None


def read_table(model_type: str, backend: str) -> dict[str, Any] | None:
    """The table of a model type and backend; None if there is none."""
    if not model_type.replace("-", "").replace("_", "").replace(".", "").isalnum():
        return None
    try:
        with open(os.path.join(FOLDER, f"{model_type}.{backend}.json.z"), "rb") as stream:
            table = json.loads(zlib.decompressobj().decompress(stream.read(), MAX_BYTES))
    except OSError:
        return None
    return table if table["format"] == FORMAT else None


def graph_from(table: Mapping[str, Any], base: Base) -> FlowGraph | None:
    """The graph by this table; None where it does not cover the base's config or class."""
    known = table["classes"].get(base.model_class)
    if known is None or any(base.config.get(key, usual) != usual for key, usual in MORE.items()):
        return None
    config = asked_of(base.resolved_config, base.config, known["rope"])
    names = names_of(config, base.resolved_config, rope_numbers(known["rope"], base.config))
    for variant in known["variants"]:
        if covers(known, variant, config, names):
            try:
                graph = _filled(table, known, variant, names, base.record["tree"])
                if graph is not None and _stands(graph, table["sizes"]):
                    return graph
            except (NotCovered, IndexError):  # filled beyond what was learnt from: a value that no operation gives
                continue
    return None


def _stands(graph: FlowGraph, sizes: Mapping[str, int]) -> bool:
    """Whether no branch on the sizes of tensors is another one, at the sizes that the forward was recorded at."""
    moved = propagate(graph, {name: sizes[name] for name in graph.symbols})
    return moved.conflict is not None or not any(
        isinstance(found, str) and found.startswith(ANOTHER) for found in moved.calls[-1].results
    )


def asked_of(resolved: Mapping[str, Any], raw: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """What a forward may ask of a config; rotary embeddings by kind, from the raw one where it alone has any, or as is
    `usual` for the class. What a list says of each layer counts, not how many there are.
    """
    depths = {value for key, value in resolved.items() if "layer" in key and type(value) is int}
    config = {key: _of_layers(value, depths) for key, value in resolved.items() if key not in UNASKED}
    rope = config[ROPE] if ROPE in config else raw.get("rope_scaling") or raw.get(ROPE) or usual
    config[ROPE] = rope_kinds(rope) if isinstance(rope, dict) else []
    return config


def _of_layers(value: Any, depths: set[int]) -> Any:
    """A list with an entry for each layer: the same number in all, or which there are of zeros and ones."""
    if not isinstance(value, list) or len(value) < 2 or any(type(part) is not int for part in value):
        return value
    if set(value) <= {0, 1}:
        return [str(part) for part in value]
    return value[0] if len(value) in depths and len(set(value)) == 1 else value


def rope_kinds(rope: Mapping[str, Any]) -> list[str]:
    """The kinds of rotary embedding in a config's entry, which may have one for each kind of layer."""
    inner = [part for part in rope.values() if isinstance(part, dict)]
    told: list[Mapping[str, Any]] = [*inner] or [rope]
    return sorted({str(part.get("rope_type", part.get("type", "default"))) for part in told} - {"default"})


def rope_numbers(default: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """The rotary settings of a raw config over the class's own, for tables of bases that leave them out."""
    given = raw.get("rope_scaling") or raw.get(ROPE)
    told = {**default, **(given if isinstance(given, dict) else {})}
    told |= {key: raw[name] for name, key in ROPE_NAMES.items() if name in raw}
    return flat({ROPE: told})


def names_of(config: Mapping[str, Any], resolved: Mapping[str, Any], rope: Mapping[str, Any]) -> dict[str, Any]:
    """The names that templates and conditions may use; for a list of one number for all layers, that number."""
    labels = resolved.get("id2label")
    count = len(labels) if isinstance(labels, dict) else 2
    one = {key: value for key, value in config.items() if type(value) is int and isinstance(resolved.get(key), list)}
    return {**rope, **flat(config), **flat(resolved), **one, "num_labels": count}


def covers(
    known: Mapping[str, Any], variant: Mapping[str, Any], config: Mapping[str, Any], names: dict[str, Any]
) -> bool:
    """Whether this is the variant of the config, and every other setting one that was tried and changes nothing.

    Keys that the class neither has nor reads are nobody's.
    """
    settings, idle = variant["settings"], known["idle"]
    for key, value in config.items():
        like = likeness(value)
        if key in settings:
            if settings[key] != like and not _is_free(known["free"].get(key), settings[key], like, names):
                return False
        elif key in idle:
            if like not in idle[key] and not _is_as_idle(key, value, idle[key]):
                return False
        elif key in known["read"]:
            return False
    if not settings.keys() <= config.keys() or any(names.get(name) != size for name, size in variant["fixed"].items()):
        return False
    if any(type(value := names.get(name)) is int and value < 1 for name in known["positive"]):
        return False
    if any(power_of_two(names.get(name)) is not found for name, found in variant["powers"].items()):
        return False
    if not all(_within(names.get(name), *bounds) for name, bounds in variant["within"].items()):
        return False
    return any(_all_hold(conditions, names) for conditions in variant["held"])


def _is_free(known: Mapping[str, Any] | None, usual: Any, like: Any, names: dict[str, Any]) -> bool:
    """Whether a setting of this likeness has the graph of the usual one."""
    if known is None or known["usual"] != usual:
        return False
    for other, alternatives in known["others"]:
        if other == like:
            return any(_all_hold(conditions, names) for conditions in alternatives)
    return False


def _is_as_idle(key: str, value: Any, idle: list[Any]) -> bool:
    """Whether a value is one of the tried ones but for how it is written: several tokens, or a rate without a point."""
    if key == ENDS and isinstance(value, list) and all(type(part) is int for part in value):
        return likeness(0) in idle
    return type(value) is int and likeness(0.0) in idle


def power_of_two(value: Any) -> bool:
    """Whether it is one, as transformers 5.23 asks it of numbers of heads (integrations/flex_attention.py)."""
    return type(value) is int and not value & (value - 1)


def _within(value: Any, least: int | None, most: int | None, step: int) -> bool:
    """Whether a number is one that a path was recorded and verified with."""
    if type(value) is not int:
        return False
    return (least is None or value >= least) and (most is None or value <= most) and value % step == 0


def likeness(value: Any) -> Any:
    """A value without its size: "#" for an integer, "~" for another number, of a list its length or its entries."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int | float):
        return ["#"] if isinstance(value, int) else ["~"]
    if isinstance(value, dict):
        return {str(key): likeness(part) for key, part in value.items()}
    if all(isinstance(part, int) and not isinstance(part, bool) for part in value):
        return ["#", len(value)]
    return ["each", *sorted({json.dumps(likeness(part)) for part in value})]


def _all_hold(conditions: list[Any], names: dict[str, Any]) -> bool:
    try:
        return all(holds(condition, names) for condition in conditions)
    except NotCovered:
        return False


def _filled(
    table: Mapping[str, Any],
    known: Mapping[str, Any],
    variant: Mapping[str, Any],
    names: dict[str, Any],
    tree: dict[str, Any],
) -> FlowGraph | None:
    filling = Filling([], names)
    graph = filling.fill(variant["graph"])
    stacks = graph.pop("stacks")
    calls, ends = unstacked(stacks, graph["outputs"])
    making = _Templates(filling, _texts(table, variant), tree)
    making.inputs = {name: [size_of(axis, table["sizes"]) for axis in axes] for name, axes in graph["inputs"].items()}
    letters = [call[1] for _, inner in stacks for call in inner]
    numbers = [making.number(letter, call) for letter, call in zip(letters, calls, strict=True)]
    told = [call._replace(template=n) for call, n in zip(calls, numbers, strict=True)]
    runs, outputs = joined(*counted(told, ends, [len(making.made[n][0]) for n in numbers]))
    graph |= {"format": GRAPH_FORMAT, "model_class": known["class"], "backend": table["backend"]}
    graph |= {"transformers": table["transformers"], "templates": making.made, "runs": runs, "outputs": outputs}
    return read_graph({**graph, "assumed": [], "constants": sorted(integers(names))})


def _texts(table: Mapping[str, Any], variant: Mapping[str, Any]) -> dict[str, str]:
    return {letter: table["templates"][number] for letter, number in variant["templates"].items()}


class _Templates:
    """The templates that the calls of one graph need, filled; the same for layers that the base's table has once."""

    def __init__(self, filling: Filling, texts: dict[str, str], tree: dict[str, Any]) -> None:
        self.filling = filling
        self.texts = texts
        self.tree = tree
        self.inputs: dict[str, list[int]] = {}
        self.made: list[Any] = []
        self.numbers: dict[str, int] = {}
        self.known: dict[tuple[str, int], int] = {}

    def number(self, letter: str, call: Run) -> int:
        """The place of the template that a layer's call has by its letter."""
        layer = call.layer(0)
        key = (letter, id(find_node(self.tree, layer)))
        if key not in self.known:
            nodes, guards, modules = self.filling.fill(json.loads(self.texts[letter]))
            for node in nodes:
                if not node[0] and not node[5]:
                    node[5] = [self._shape(path_in(layer, node[3][0]))]
            told: dict[str, Any] = {}
            for guard in guards:
                told.setdefault(repr(guard[1:4]), guard)
            modules = [[path, returned(refs, len(call.given))] for path, refs in modules]
            template = [nodes, [*told.values()], modules]
            self.known[key] = self.numbers.setdefault(repr(template), len(self.made))
            if self.known[key] == len(self.made):
                self.made.append(template)
        return self.known[key]

    def _shape(self, name: str) -> list[int]:
        if name in self.inputs:
            return self.inputs[name]
        path, _, own = name.rpartition(".")
        node = find_node(self.tree, path)
        for field in ("params", "buffers"):
            if node is not None and own in node.get(field, {}):
                return list(node[field][own])
        raise NotCovered(name)
