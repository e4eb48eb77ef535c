"""Widths that disagree with the base, told together; adapters of a pruned base told apart from those of another."""

from __future__ import annotations

from adaptlint.artefacts import TensorFile
from adaptlint.bases import Base
from adaptlint.findings import Fact, Fault, Where, path_shape
from adaptlint.graph.widths import likely_bases
from adaptlint.runtimes.peft.coverage import in_words, layers_of
from adaptlint.runtimes.peft.pruned_with import cut_with
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Wrapped

WIDTH = "width-disagrees-with-base"
PRUNED = "adapter-of-pruned-base"
PARALLEL = "adapter-of-one-parallel-rank"
GROUPS = (2.0, 4.0, 8.0, 16.0)
ROW_PARALLEL = ("o_proj", "out_proj", "down_proj", "fc2", "fc_out", "c_proj", "dense", "dense_4h_to_h", "w2", "wo", "o")
KEY_VALUE = ("k_proj", "v_proj", "key_proj", "value_proj", "key", "value", "k", "v")
SIDES = {"in": "the inputs of", "out": "the outputs of"}


def explain_widths(faults: list[Fault], wrapped: Wrapped, settings: Settings, file: TensorFile) -> list[Fault]:
    """Width faults with all sizes that disagree in one text; those of a pruned base become "adapter-of-pruned-base"."""
    widths = [fault for fault in faults if fault.reason == WIDTH]
    if not widths:
        return faults
    sides: dict[str, set[Fact]] = {}
    for fault in widths:
        sides.setdefault(fault.module, set()).add(fault.facts["axis"])
    inner = all(len(axes) == 1 for axes in sides.values())
    head = head_size(wrapped.base) if inner else None
    layers = in_words(layers_of(sides))
    place = f"in {layers}" if layers else "outside the layers"
    shared: dict[str, Fact] = {"sizes": _told(widths, wrapped.base, head), "place": place}
    reason, named = _cause(widths, inner, settings)
    if reason == PRUNED:
        shared["cut_with"] = cut_with(wrapped.base, widths)
    elif reason == PARALLEL:
        shared["ranks"] = ranks_of(widths)
    elif reason == WIDTH:
        fit = likely_bases(file)
        shared["fits"] = f" Its tensors have the sizes of {fit}." if fit else ""
    return [
        fault._replace(
            reason=reason,
            facts={**fault.facts, **shared, **_heads(fault, wrapped.base, head)},
            because=(*fault.because, *named),
        )
        if fault.reason == WIDTH
        else fault
        for fault in faults
    ]


def _cause(widths: list[Fault], inner: bool, settings: Settings) -> tuple[str, tuple[tuple[Where, str], ...]]:
    """Another base, one rank of a tensor-parallel group, or a pruned sibling with what the config calls it."""
    if inner and ranks_of(widths):
        return PARALLEL, ()
    if inner and _is_narrower(widths):
        return PRUNED, _named_base(settings)
    return WIDTH, ()


def ranks_of(widths: list[Fault]) -> int:
    """Into how many parts a tensor-parallel group had split the layers: 0 where it was none.

    What a group splits by columns has its outputs cut, what it splits by rows its inputs, each to the same share
    (Megatron's ColumnParallelLinear and RowParallelLinear). A pruned model has other shares in attention and MLP as a
    rule, so that both have to agree.
    """
    parts = {_sizes(fault)[1] / _sizes(fault)[0] for fault in widths}
    sides = {_leaf(fault.module): str(fault.facts["axis"]) for fault in widths}
    ranks = next(iter(parts)) if len(parts) == 1 else 0.0
    by_rows = {leaf for leaf in sides if leaf in ROW_PARALLEL}
    split = all((axis == "in") == (leaf in by_rows) for leaf, axis in sides.items())
    both = len({_in_attention(fault.module) for fault in widths}) > 1
    return int(ranks) if ranks in GROUPS and split and both and by_rows else 0


def _is_narrower(widths: list[Fault]) -> bool:
    """True if in modules of which only one width disagrees, the adapter's is always the smaller one, inside the layers.

    The residual stream is then the base's own, and what lies inside the layers is narrower (LLM-Pruner; peft#1746).
    Pruned heads take their queries with them: where keys and values alone are narrower, the other base groups its
    queries.
    """
    attention = {_leaf(fault.module) for fault in widths if _in_attention(fault.module)}
    grouped = bool(attention) and attention <= set(KEY_VALUE)
    inside = all(path_shape(fault.module)[1] for fault in widths)  # embeddings and heads follow the vocabulary
    return inside and not grouped and all(_sizes(fault)[0] < _sizes(fault)[1] for fault in widths)


def _named_base(settings: Settings) -> tuple[tuple[Where, str], ...]:
    """What the adapter's config calls its base: usually the full model, since pruning renames nothing."""
    name = settings.given.get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        return ()
    note = f"the adapter's config names {name[:200]} as its base; pruning in width leaves a model's name as it was"
    return ((settings.where("base_model_name_or_path"), note),)


def head_size(base: Base) -> int | None:
    """Features per attention head from the config: head_dim (T5: d_kv), else hidden_size / num_attention_heads."""
    config = base.resolved_config
    for name in ("head_dim", "d_kv"):
        size = config.get(name)
        if isinstance(size, int) and size > 0:
            return size
    hidden, heads = config.get("hidden_size"), config.get("num_attention_heads")
    if isinstance(hidden, int) and isinstance(heads, int) and heads > 0 and hidden % heads == 0:
        return hidden // heads
    return None


def _sizes(fault: Fault) -> tuple[int, int]:
    return int(str(fault.facts["found"])), int(str(fault.facts["expected"]))


def _leaf(module: str) -> str:
    return module.rpartition(".")[2]


def _in_attention(module: str) -> bool:
    return any("att" in part.lower() for part in module.split(".")[-3:-1])


def _heads(fault: Fault, base: Base, head: int | None) -> dict[str, Fact]:
    """Both widths as numbers of heads, where a module of an attention block is as wide as the config's heads."""
    found, expected = _sizes(fault)
    counts = [base.resolved_config.get(name) for name in ("num_attention_heads", "num_key_value_heads", "num_heads")]
    if head is None or not _in_attention(fault.module) or found % head or expected % head:
        return {"head_dim": None}
    if expected // head not in counts:
        return {"head_dim": None}
    return {"head_dim": head, "heads_found": found // head, "heads_expected": expected // head}


def _told(widths: list[Fault], base: Base, head: int | None) -> str:
    """Every size that disagrees, with the projections that have it: "the outputs of q_proj and ... have 1920 = ..."."""
    found: dict[tuple[str, str, int], dict[int, Fault]] = {}
    for fault in widths:
        key = (str(fault.facts["axis"]), _leaf(fault.module), _sizes(fault)[1])
        found.setdefault(key, {}).setdefault(_sizes(fault)[0], fault)
    same: dict[str, dict[str, list[str]]] = {}
    for (axis, leaf, _), examples in found.items():
        same.setdefault(_arithmetic(list(examples.values()), base, head), {}).setdefault(axis, []).append(leaf)
    parts = []
    for arithmetic, projections in same.items():
        owners = [f"{SIDES[axis]} {', '.join(leaves)}" for axis, leaves in projections.items()]
        if len(projections) == 2 and projections["in"] == projections["out"]:
            owners = [f"the inputs and outputs of {', '.join(projections['in'])}"]
        parts.append(f"{' and '.join(owners)} have {arithmetic}")
    return "; ".join(parts)


def _arithmetic(examples: list[Fault], base: Base, head: int | None) -> str:
    """ "1920 = 15 heads x 128 features in the file and ..."; a range where layers were pruned unequally."""
    expected = _sizes(examples[0])[1]
    if len(examples) > 1:
        widths = [_sizes(fault)[0] for fault in examples]
        return f"{min(widths)} to {max(widths)} features in the file, layer by layer, and {expected} in the base"
    heads = _heads(examples[0], base, head)
    if heads["head_dim"] is None:
        return f"{_sizes(examples[0])[0]} features in the file and {expected} in the base"
    counts = [base.resolved_config.get(name) for name in ("num_attention_heads", "num_key_value_heads")]
    ungrouped = [heads["heads_found"], heads["heads_expected"]] == counts and counts[0] != counts[1]
    kind = ", as a model without grouped queries has" if ungrouped else ""
    found, ours = (f"{n} head{'' if n == 1 else 's'} x {head}" for n in (heads["heads_found"], heads["heads_expected"]))
    return f"{_sizes(examples[0])[0]} = {found} features in the file{kind} and {expected} = {ours} in the base"
