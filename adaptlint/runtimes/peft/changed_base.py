"""Adapters that change the base's own weights when they are loaded, and what is at work on such a base afterwards.

PiSSA, OLoRA and LoftQ take a part out of each weight (PEFT 0.21.2, tuners/lora/layer.py, doubts.toml), and trained
biases are copied into the base. Neither is undone by another active adapter, `disable_adapter` or `delete_adapter`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from adaptlint import tables
from adaptlint.findings import Fact, Fault
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.peft.loading import Loaded
from adaptlint.runtimes.peft.plan import Step
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Wrapped

DOUBTS = "runtimes/peft/doubts.toml"
INIT = "init_lora_weights"
DECOMPOSED = ("Linear", "Conv1D")


class Change(NamedTuple):
    """The field that an adapter changed the base by, and the layers that lack a part since (none for biases)."""

    settings: Settings
    field: str
    sites: frozenset[str]


def rewriting_init(settings: Settings) -> str:
    """The initialisation by which each load of an adapter changes the base's weights; "" for any other."""
    init = settings[INIT]
    rewriting = tuple(tables.load()[DOUBTS]["rewrites_base"]["inits"])
    return init if isinstance(init, str) and init.lower().startswith(rewriting) else ""


def change_of(wrapped: Wrapped, name: str, settings: Settings, result: Loaded, step: Step) -> Change | None:
    """What the load of this adapter did to the base; None if nothing."""
    biased = settings["bias"] != "none" and any(
        origin.kind == "base" and key in result.arrived and key.endswith(".bias") for key, origin in result.keys.items()
    )
    if biased:
        return Change(settings, "bias", frozenset())
    quantised = bool(wrapped.base.config.get("quantization_config"))
    if not rewriting_init(settings) or not settings.is_lora or quantised or step.option("low_cpu_mem_usage"):
        return None
    own = (path for path, site in wrapped.sites.items() if name in site.adapters and site.kind in DECOMPOSED)
    sites = frozenset(own)
    return Change(settings, INIT, sites) if sites else None


def changed_faults(changed: dict[str, Change], active: Collection[str]) -> Iterator[Fault]:
    """The first change of the base that is not part of what these adapters together are."""
    name = next((name for name in changed if name not in active), "")
    name = name or next(_twice(changed), "")
    if not name:
        return
    change = changed[name]
    facts: dict[str, Fact] = {
        "name": name,
        "field": change.field,
        "value": str(change.settings[change.field]),
        "active": ", ".join(active) or "the base",
    }
    at = change.settings.where(change.field)
    module = min(change.sites, default="")
    yield Fault("base-changed-by-another", adapter=name, module=module, at=at, facts=facts, decides=True)


def _twice(changed: dict[str, Change]) -> Iterator[str]:
    """Adapters whose part was taken out of a weight that another's was taken out of before."""
    seen: set[str] = set()
    for name, change in changed.items():
        if not seen.isdisjoint(change.sites):
            yield name
        seen |= change.sites
