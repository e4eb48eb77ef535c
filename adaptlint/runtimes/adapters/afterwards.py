"""Faults that one ordinary forward does not show: in generation, when merged, with the attention's weights asked for.

Which releases and models have them was measured on adapters 1.0.0, 1.1.1, 1.2.0 and 1.3.0 and is library.toml's
`later`; what has to be true of an adapter is `ABOUT`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from adaptlint import tables
from adaptlint.dataflow.flow_graph import FlowGraph
from adaptlint.findings import Fact, Fault
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.adapters.composition import Block
from adaptlint.runtimes.adapters.library import FAULTS
from adaptlint.runtimes.adapters.loads import HubLoads
from adaptlint.runtimes.adapters.parts import Part

RESIZED = "mask-resized-in-place"  # about the composition, and no single adapter


class Used(NamedTuple):
    """What is set active: in which composition, as it was loaded into its base, and under which forward.

    `names` has the report's name of each adapter by the library's.
    """

    setup: Block
    loads: HubLoads
    graph: FlowGraph
    names: Mapping[str, str]


def faults_afterwards(used: Used) -> Iterator[Fault]:
    """One for each row and adapter; none of them decides about the forward."""
    release = used.loads.release.text
    for row in tables.load()[FAULTS]["later"]:
        if not _is_about(row, used):
            continue
        if row["reason"] == RESIZED:
            if used.setup.channels > 1:
                yield Fault(row["reason"], facts={"release": release, "channels": used.setup.channels})
            continue
        for name in sorted(used.setup.names()):
            for part in used.loads.parts.get(name, ()):
                told = ABOUT[row["reason"]](name, part, used)
                if told is not None:
                    facts: dict[str, Fact] = {"name": name, "release": release, **told}
                    yield Fault(row["reason"], used.names.get(name, ""), facts=facts)
                    break


def _is_about(row: Mapping[str, Any], used: Used) -> bool:
    if "models" in row and used.loads.base.model_type not in row["models"]:
        return False
    if row.get("backend", used.graph.backend) != used.graph.backend:
        return False
    if row.get("masked", False) and "attention_mask" not in used.graph.inputs:
        return False
    reached = used.loads.release.reached
    return reached(row["since"]) and not ("until" in row and reached(row["until"]))


Told = dict[str, Fact] | None


def _prefix(name: str, part: Part, used: Used) -> Told:
    return {} if part.kind == "prefix" else None


def _positions(name: str, part: Part, used: Used) -> Told:
    """ReFT at the first or last places of a text; a new token beside a cache is all the text that there is."""
    if part.kind != "reft":
        return None
    first, last = part.config["prefix_positions"], part.config["suffix_positions"]
    return {"first": first, "last": last} if first or last else None


def _scaled(name: str, part: Part, used: Used) -> Told:
    """A LoRA's alpha / r, by which such a release scales where it merges and not in the forward (adapters#770)."""
    config = part.config
    if part.kind != "lora" or config["composition_mode"] != "add" or config["alpha"] == config["r"]:
        return None
    return {"alpha": config["alpha"], "r": config["r"]}


def _magnitude(name: str, part: Part, used: Used) -> Told:
    return {} if part.kind == "lora" and part.config.get("use_dora") else None


def _bias(name: str, part: Part, used: Used) -> Told:
    """(IA)^3 on a projection with a bias, which its vector scales in the forward and `merge_adapter` does not."""
    if part.kind != "lora" or part.config["composition_mode"] != "scale":
        return None
    paths = (key.partition(".loras.")[0] for key in used.loads.held[name] if ".loras." in key)
    modules = (used.loads.base.by_path.get(path) for path in paths)
    place = next((module.path for module in modules if module is not None and "bias" in module.params), None)
    return None if place is None else {"place": place}


ABOUT: dict[str, Callable[[str, Part, Used], Told]] = {
    "attention-weights-drop-prefix": _prefix,
    "cached-tokens-edited": _positions,
    "merging-scales-lora": _scaled,
    "dora-stays-merged": _magnitude,
    "merging-leaves-bias": _bias,
}
