"""Adapted modules whose update is zero while that of others is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adaptlint.artefacts import TensorFile, ValueRow
from adaptlint.findings import Fact, Fault, Where
from adaptlint.runtimes.peft.loading import Loaded
from adaptlint.runtimes.peft.settings import Settings

FACTORS = ("lora_A.", "lora_B.", "lora_embedding_")


def dead_sites(
    adapter: str, settings: Settings, file: TensorFile, result: Loaded, values: Mapping[str, ValueRow]
) -> Iterator[Fault]:
    """One fault per module of which a whole factor in the file is zero; none if that is so everywhere or nowhere."""
    zero: dict[str, str] = {}
    modules: set[str] = set()
    for key, origin in result.keys.items():
        sources = result.arrived.get(key)
        if origin.kind != "site" or origin.adapter != adapter or not sources or not any(f in key for f in FACTORS):
            continue
        modules.add(origin.module)
        if all(source in values and values[source].zero for source in sources):
            zero.setdefault(origin.module, sources[0])
    if not zero or len(zero) == len(modules):
        return
    for module, source in zero.items():
        facts: dict[str, Fact] = {
            "key": source,
            "dead": len(zero),
            "all": len(modules),
            "projection": module.rpartition(".")[2],
        }
        yield Fault("update-is-zero-in-part", module=module, at=Where(file.path, (source,)), facts=facts)
