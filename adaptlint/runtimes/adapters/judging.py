"""What becomes of a composition in one forward: it raises, it computes something else than is meant, or it works.

What is meant: each row of the batch as its own adapters alone would have it. Where no adapters alone can be held
against it (a Stack, a Fuse), every member has to have a part in the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

from adaptlint.dataflow.calls import FlowConflict
from adaptlint.dataflow.flow_graph import FlowGraph, Node, Shape, path_in
from adaptlint.dataflow.messages import raised_by
from adaptlint.dataflow.propagate import Moved, propagate
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.adapters.composition import Block
from adaptlint.runtimes.adapters.leaks import first_leak
from adaptlint.runtimes.adapters.meaning import unused
from adaptlint.runtimes.adapters.parts import Part
from adaptlint.runtimes.adapters.unadapted import Unadapted
from adaptlint.runtimes.adapters.walk import HubLayers, Note

SHARING = ("Parallel", "BatchSplit", "MultiTask")
MERGING = ("Average", "Fuse", "Split")


class Composed(NamedTuple):
    """A composition in question: its adapters' parts and folders by name, and what is known of the model."""

    setup: Block
    adapters: Mapping[str, list[Part]]
    folders: Mapping[str, str]
    release: tuple[int, ...]
    fusions: frozenset[str] = frozenset()
    pool: tuple[int | None, int | None] = (None, None)

    def layers(self) -> HubLayers:
        """The layers under this composition, before a forward."""
        return HubLayers(self.setup, self.adapters, self.release, self.fusions, self.pool)


class Outcome(NamedTuple):
    """How the forward ends: `error` and its text where it raises, `notes` where it is wrong, `unknown` where unsure."""

    outcome: str
    error: tuple[str, str] | None
    conflict: FlowConflict | None
    unknown: str
    notes: tuple[Note, ...]
    outputs: Mapping[str, Shape]
    moved: Moved | None = None
    layers: HubLayers | None = None


def judge(graph: FlowGraph, composed: Composed, sizes: Mapping[str, int]) -> Outcome:
    """Walk the composition through a recorded forward at these sizes."""
    layers = composed.layers()
    moved = propagate(graph, sizes, layers=layers)
    if moved.conflict is not None:
        kind, text = raised_by(moved.conflict)
        seen = (*_leaks(graph, composed, moved, sizes), *layers.notes)
        return Outcome("fails", (kind, text), moved.conflict, "", seen, {}, moved, layers)
    unknown = next((f"{path or 'the model'}: {reason}" for path, reason in moved.unknown.items()), "")
    if unknown:
        return Outcome("unknown", None, None, unknown, tuple(layers.notes), {}, moved, layers)
    told = [note for note in layers.notes if not _is_evened_out(graph, note)]
    notes = (*_first_of_each(told), *_more(graph, composed, layers, moved, sizes))
    deciding = tuple(note for note in notes if note.decides)  # where there are such, they say the others' part as well
    return Outcome("wrong" if deciding else "works", None, None, "", deciding or notes, moved.outputs, moved, layers)


def _more(
    graph: FlowGraph, composed: Composed, layers: HubLayers, moved: Moved, sizes: Mapping[str, int]
) -> Iterator[Note]:
    """What is only to be seen from outside of the layers."""
    setup = composed.setup
    yield from _idle(composed, layers)
    if any(context.masked for context in layers.contexts.values()):
        named = setup.names() & layers.placed
        gated = sorted(name for name in named if any(map(_is_scaled_by_gate, composed.adapters[name])))
        if gated:
            yield Note("gate-averages-padding", "", {"names": gated})
    yield from _fuses(composed)
    yield from _leaks(graph, composed, moved, sizes)
    if setup.channels > 1:
        name, shape = next(iter(moved.outputs.items()), ("", ()))
        rows = setup.channels * sizes.get("batch", 1)
        if shape and shape[0] != rows:
            yield Note("rows-not-of-channels", "", {"name": name, "rows": shape[0], "wanted": rows})


def _leaks(graph: FlowGraph, composed: Composed, moved: Moved, sizes: Mapping[str, int]) -> Iterator[Note]:
    """Where the channels of a Parallel leave the batch."""
    channels = composed.setup.channels
    if channels > 1:
        usual = propagate(graph, sizes, layers=Unadapted())
        leak = first_leak(graph, moved, usual, channels, _longer(composed))
        if leak is not None:
            facts = {"op": leak.op, "source": leak.source, "shape": [*leak.shape], "usual": [*leak.usual]}
            yield Note("channels-leave-batch", leak.module, facts)


def _idle(composed: Composed, layers: HubLayers) -> Iterator[Note]:
    """Adapters without any part in the result.

    One that stands somewhere decides only where nothing that runs alone could be held against the whole: among rows
    that are shared out, and among copies that are merged, the others' results say what it should be.
    """
    setup = composed.setup
    shared = _shares_rows(setup, composed)
    absent = setup.names() - unused(setup) - layers.at_work
    copies = {name for block in setup.blocks() if block.kind in MERGING for name in _copies(block, composed, layers)}
    of_copies = any(
        block is not setup and block.kind == "Average" and _is_of_copies(block, composed) for block in setup.blocks()
    )
    for name in sorted(absent - copies):
        if name not in layers.placed:
            yield Note("adapter-has-no-site", "", {"name": name})
        elif shared:
            yield Note("adapter-idle-among-rows", "", {"name": name}, decides=False)
        elif not of_copies:
            yield Note("adapter-without-effect", "", {"name": name})


def _shares_rows(block: Block, composed: Composed) -> bool:
    """Whether rows are shared out, elsewhere than among adapters that are merged with others into every row."""
    if block.kind in SHARING:
        return True
    merged = block.kind in MERGING and not _is_of_copies(block, composed)
    return not merged and any(_shares_rows(child, composed) for child in block.children)


def _copies(block: Block, composed: Composed, layers: HubLayers) -> Iterator[str]:
    """Members of a merging block whose files are those of another that is at work."""
    names = [child.name for child in block.children if not child.kind]
    for name in names:
        if any(other in layers.at_work and composed.folders[other] == composed.folders[name] for other in names):
            yield name


def _is_of_copies(block: Block, composed: Composed) -> bool:
    return len({composed.folders[one.name] for one in block.leaves()}) == 1


def _is_evened_out(graph: FlowGraph, note: Note) -> bool:
    """Whether a layer's output goes into a norm and nowhere else: what is scaled as a whole is scaled back there."""
    if note.reason != "average-divided-twice" or note.facts["op"] != "hub.bottleneck":
        return False
    for run in graph.runs:
        nodes = graph.templates[run.template].nodes
        for index, node in enumerate(nodes):
            if path_in(run.layer(0), node.module) == note.module and node.op == "hub.bottleneck":
                takers = [other.module for other in nodes if [index, 0] in _taken(other)]
                return bool(takers) and all("norm" in taker.rpartition(".")[2] for taker in takers)
    return False


def _taken(node: Node) -> list[list[int]]:
    return [argument["n"] for argument in node.args if isinstance(argument, dict) and "n" in argument]


def _fuses(composed: Composed) -> Iterator[Note]:
    for block in composed.setup.blocks():
        if block.kind == "Fuse" and _has(composed.adapters[block.last], "is_parallel"):
            yield Note("fusion-of-parallel-adapters", "", {"block": str(block)})
        elif block.kind == "Fuse" and any(_is_changed_after(composed.adapters[one.name]) for one in block.leaves()):
            yield Note("fusion-before-gate", "", {"block": str(block)})
        elif block.kind == "Fuse" and block.fusion not in composed.fusions:
            yield Note("fusion-layer-unused", "", {"block": str(block), "name": block.fusion})


def _has(parts: list[Part], field: str) -> bool:
    return any(part.config.get(field) for part in parts)


def _is_changed_after(parts: list[Part]) -> bool:
    """Whether a gate or a norm comes after what `compose_fuse` takes of a bottleneck: the up projection's output."""
    return any(
        part.kind == "bottleneck"
        and (part.config["use_gating"] or part.config["ln_after"])
        and not part.config["is_parallel"]
        for part in parts
    )


def _is_scaled_by_gate(part: Part) -> bool:
    """Whether a gate decides how much the part does: a norm that comes right after it scales its output back."""
    normed = part.kind == "bottleneck" and part.config["ln_after"]
    between = normed and part.config["adapter_residual_before_ln"] and not part.config["is_parallel"]
    return bool(part.config.get("use_gating")) and (not normed or bool(between))


def _longer(composed: Composed) -> frozenset[int]:
    """By how much prefixes and prompts may lengthen a sequence, whichever of them come together."""
    lengths = [
        part.config["prefix_length"] if part.kind == "prefix" else part.config["prompt_length"]
        for parts in composed.adapters.values()
        for part in parts
        if part.kind in ("prefix", "prompt")
    ]
    return frozenset(sum(some) for count in range(1, len(lengths) + 1) for some in combinations(lengths, count))


def _first_of_each(notes: list[Note]) -> list[Note]:
    """Each thing said once, of the first place."""
    found: dict[str, Note] = {}
    for note in notes:
        found.setdefault(note.reason + str(note.facts.get("op", "")), note)
    return [*found.values()]
