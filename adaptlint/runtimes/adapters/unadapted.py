"""AdapterHub's layers with no adapter in any of them: what a forward is without the composition."""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.dataflow.value import Value
from adaptlint.hints import Any
from adaptlint.runtimes.adapters.others import PAIRED, kept


class Unadapted:
    """Every layer hands on the states that it is given; as layers of a graph (`adaptlint.dataflow.calls.Layers`)."""

    def state(self, layer: str) -> object:
        """The same in all layers."""
        return None

    def outputs(self, op: str, module: str, args: list[Any], about: Mapping[str, Any]) -> tuple[Value, ...]:
        """What the operation returns where nothing stands at it."""
        if op == "hub.context":
            return ()
        if op in PAIRED:
            return PAIRED[op](args)
        if op == "hub.prefix":
            return kept(args)
        if op in ("hub.prompt_mask", "hub.bottleneck"):
            return (args[0],)
        return tuple(value for value in args[-1:] if value is not None)

    def watch(self, module: str, args: list[Any], about: Mapping[str, Any]) -> None:
        """Nothing is held against plain attention."""
