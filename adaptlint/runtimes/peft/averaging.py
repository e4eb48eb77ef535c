"""Average(a, b): `add_weighted_adapter` of the type linear, held against the sum of the weighted updates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from adaptlint.findings import Fact, Fault
from adaptlint.runtimes.adapters.composition import Block
from adaptlint.runtimes.peft.plan import Step
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.run import Run
from adaptlint.runtimes.peft.settings import Settings

OWN_PARTS = ("kasa_config", "velora_config", "monteclora_config", "use_bdlora", "alora_invocation_tokens")
LOST = (
    ("use_dora", "magnitudes"),
    ("lora_bias", "biases of the factors"),
    ("modules_to_save", "copies of {value}"),
    ("trainable_token_indices", "rows of trained tokens"),
)


def average(run: Run, block: Block, names: Sequence[str], faults: list[Fault]) -> str:
    """Make the new adapter, whose name is returned; Refusal where PEFT raises."""
    weights = weights_of(block, len(names))
    new = next(name for n in count(1) if (name := f"average{n if n > 1 else ''}") not in run.loaded)
    used = [name for name, _ in zip(names, weights, strict=False)]
    parts = [run.loaded[name] for name in names if name in run.loaded]
    if len(set(names)) < len(names):
        problem = "a name that stands in it twice"
        raise NotModelled("composition-not-told", facts={"composition": str(block), "problem": problem})
    if len(parts) == len(names):
        _check_method(run, parts, block)
    given = tuple((name, repr(weight)) for name, weight in zip(names, [*weights, *[0.0] * len(names)], strict=False))
    before = len(run.faults)
    run.do(Step("combine", new, (("linear", ""), *given)))
    told = [fault for fault in run.faults[before:] if fault.decides]  # by the step itself
    faults += told
    del run.faults[before:]
    faults += _unweighted(names, used)
    faults += _lost(new, dict(zip(names, parts, strict=True)))
    faults += _crossed(run, new, used)
    return new


def weights_of(block: Block, members: int) -> list[float]:
    """As AdapterHub reads them: one each without any, and of the sum one unless normalize_weights=False."""
    given = block.setting("weights")
    weights = [1.0] * members if given is None else [float(each) for each in given]
    total = sum(weights)
    normalised = block.setting("normalize_weights") is not False and total
    return [weight / total for weight in weights] if normalised else weights


def _check_method(run: Run, parts: Sequence[Settings], block: Block) -> None:
    method = parts[0].method.peft_type
    if method in ("IA3", "XLORA") or run.wrapped.base.config.get("quantization_config"):
        problem = f"an average of adapters of {method} on such a base"
        raise NotModelled("composition-not-told", facts={"composition": str(block), "problem": problem})
    if not parts[0].is_lora:
        kind, match = "AttributeError", "object has no attribute 'add_weighted_adapter'"
        if method == "ADALORA":
            kind, match = "TypeError", "AdaLoraModel does not support add_weighted_adapter method."
        facts: dict[str, Fact] = {"step": "combine", "name": method}
        raise Refusal(kind, match, "combination-impossible", facts=facts, stage="combine")
    own = next((field for field in OWN_PARTS for part in parts if part[field] is not None), None)
    if own is not None:
        problem = f"an average of adapters with {own}"
        raise NotModelled("composition-not-told", facts={"composition": str(block), "problem": problem})


def _unweighted(names: Sequence[str], used: Sequence[str]) -> Iterator[Fault]:
    """Weights and names are paired until the shorter of both ends."""
    for name in names[len(used) :]:
        facts: dict[str, Fact] = {"name": name, "instead": f"there are weights for {len(used)} adapters"}
        yield Fault("adapter-name-passed-over", adapter=name, facts=facts, decides=True)


def _lost(new: str, parts: dict[str, Settings]) -> Iterator[Fault]:
    """What a part has beside its factors: the new adapter has none, or one as initialised."""
    for name, settings in parts.items():
        for field, what in LOST:
            value = settings[field]
            if value:
                told = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
                facts: dict[str, Fact] = {"name": name, "new": new, "what": what.format(value=told[:100])}
                at = settings.where(field)
                yield Fault("combination-drops-part", adapter=name, at=at, facts=facts, decides=True)


def _crossed(run: Run, new: str, used: Sequence[str]) -> Iterator[Fault]:
    """Sums of factors multiply: A of one adapter meets B of another wherever both stand."""
    for path, site in run.wrapped.sites.items():
        here = [name for name in used if name in site.adapters]
        if len(here) > 1:
            facts: dict[str, Fact] = {"names": ", ".join(here), "new": new}
            yield Fault("factors-multiplied-crosswise", module=path, facts=facts, decides=True)
            return
