"""Whether an adapter speaks only of modules that are the same in two releases of transformers."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from adaptlint import tables
from adaptlint.artefacts import TensorFile
from adaptlint.graph.scene import Adapter, weights_of
from adaptlint.hints import Any
from adaptlint.runtimes.peft.release import PEFT
from adaptlint.runtimes.peft.targets import default_targets

FIELDS = ("modules_to_save", "exclude_modules", "feedforward_modules", "target_parameters", "trainable_token_indices")


def keeps_away_from(adapter: Adapter, names: Collection[str], model_type: str) -> bool:
    """True if neither config nor tensors of the adapter have one of the names as a part of a path.

    False for what stands for modules without naming them: a pattern, "all-linear", and a file that cannot be read.
    """
    parts = set(_parts(adapter, model_type))
    return "" not in parts and parts.isdisjoint(names)


def _parts(adapter: Adapter, model_type: str) -> Iterator[str]:
    """Every part of every path; "" where something may name anything."""
    config, weights = adapter.given, weights_of(adapter)
    if not config or not isinstance(weights, TensorFile):
        yield ""
        return
    targets: Any = config.get("target_modules")
    if targets is None:
        targets = default_targets(str(config.get("peft_type"))).get(model_type, ())
    yield from _names(targets)
    for field in FIELDS:
        if config.get(field):
            yield from _names(config[field])
    yield from tables.load()[PEFT]["task"].get(config.get("task_type"), {}).get("saves", ())
    for key in weights.tensors:
        yield from (part or "." for part in key.split("."))


def _names(value: Any) -> Iterator[str]:
    """The parts of a list of paths, or of a table's keys."""
    if isinstance(value, str) or not isinstance(value, (list, tuple, dict)):
        yield ""
        return
    for entry in value:
        yield from str(entry).split(".") if isinstance(entry, str) else ("",)
