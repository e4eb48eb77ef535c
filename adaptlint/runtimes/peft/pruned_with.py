"""What else must have been cut in the base that an adapter was trained on, so that its forward runs.

Told from graphs that ship with us alone: a report does not depend on what the cache holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from adaptlint.bases import Base
from adaptlint.dataflow.fitting import fitted
from adaptlint.dataflow.flow_graph import Shape
from adaptlint.dataflow.shipped import shipped_graph
from adaptlint.findings import Fault, fold_paths

BACKENDS = ("eager", "sdpa")  # the first that there is a graph of; weights have the same sizes under each
LISTED = 6


def cut_with(base: Base, widths: Sequence[Fault]) -> str:
    """The further weights of a base with these widths, with their shapes; "" where nothing certain can be said."""
    graph = next((one for backend in BACKENDS if (one := shipped_graph(base, backend)) is not None), None)
    given = _weights(base, widths)
    if graph is None or not given:
        return ""
    found = fitted(graph, given)
    if found.unknown:
        return ""
    if found.conflict is not None:
        at = f"{found.conflict.op} in {found.conflict.folded} ({found.conflict.source}) takes {found.conflict.text}"
        return f" No base has these widths alone: {at}."
    by_shape: dict[Shape, list[str]] = {}
    for name, shape in found.shapes.items():
        by_shape.setdefault(shape, []).append(name)
    listed = [f"{path} {shape}" for shape, names in by_shape.items() for path in fold_paths(names)]
    more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    return f" In such a base other weights are cut with them: {', '.join(listed[:LISTED])}{more}." if listed else ""


def _weights(base: Base, widths: Sequence[Fault]) -> dict[str, Shape]:
    """The base's own weights as wide as the adapter has them, (out, in); {} where one is no matrix of those sizes."""
    parameters = base.parameters()
    found: dict[str, Shape] = {}
    for fault in widths:
        name = f"{fault.module}.weight"
        shape = found.get(name, tuple(parameters.get(name, ())))
        at = 0 if fault.facts["axis"] == "out" else 1
        if len(shape) != 2 or shape[at] not in (int(str(fault.facts["expected"])), int(str(fault.facts["found"]))):
            return {}
        found[name] = (*shape[:at], int(str(fault.facts["found"])), *shape[at + 1 :])
    return found
