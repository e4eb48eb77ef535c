"""Tensors that a method takes from the file in whatever shape they have (PEFT 0.21.2, adamss/layer.py).

AdaMSS's loader replaces each parameter by one of the file's shape. Nothing raises at load; the forward multiplies what
it finds.
"""

from __future__ import annotations

from collections.abc import Iterator

from adaptlint.artefacts import TensorFile
from adaptlint.findings import Fact, Where
from adaptlint.runtimes.peft.loading import Loaded
from adaptlint.runtimes.peft.refusal import Refusal
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import PREFIX, Applied, Shape, Wrapped

PROJECTION = "adamss_newB"
GONE = (-1,)  # a buffer of another shape becomes a parameter, which its BufferDict does not find any more


def take_shapes(wrapped: Wrapped, adapter: str, result: Loaded, file: TensorFile) -> None:
    """The sites' tensors get the shapes that arrived from the file."""
    for path, site in wrapped.sites.items():
        applied = site.adapters.get(adapter)
        if applied is None:
            continue
        rows = []
        for key, saved, shape in applied.tensors:
            sources = result.arrived.get(f"{wrapped.prefix}{path}.{key}")
            found = file.tensors[sources[0]].shape if sources else shape
            rows.append((key, saved, GONE if saved == PROJECTION and found != shape else found))
        site.adapters[adapter] = applied._replace(tensors=tuple(rows))


def forward_faults(wrapped: Wrapped, adapter: str, settings: Settings) -> Iterator[Refusal]:
    """`Linear.forward`: newB, then for each subspace A and B, then the rows of all B put in their places."""
    for path, site in wrapped.sites.items():
        applied = site.adapters.get(adapter)
        module = wrapped.by_path[path]
        found = applied and _first_fault(applied, adapter, module.params.get("weight", (0,))[0])
        if found:
            type_name, match, tensor, sizes = found
            at = Where(settings.file)
            facts: dict[str, Fact] = {"tensor": f"{PREFIX}{path}.{tensor}", "sizes": sizes, "error": type_name}
            yield Refusal(type_name, match, "tensors-do-not-chain", at=at, module=path, facts=facts, stage="forward")


def _first_fault(applied: Applied, adapter: str, out: int) -> tuple[str, str, str, str] | None:
    shapes: dict[str, Shape] = {saved: shape for _, saved, shape in applied.tensors}
    if shapes[PROJECTION] == GONE:
        return "KeyError", f"'{adapter}'", PROJECTION, "a shape that the base and r do not give"
    rank = shapes[PROJECTION][0]
    total = 0
    count = len(shapes) // 2
    for index in range(count):
        a, b = shapes[f"adamss_A.{index}"], shapes[f"adamss_B.{index}"]
        if not (a and b):
            return None  # left as it was built, in a shape that follows from the base's values
        for name, left, right in (("adamss_A", rank, a), ("adamss_B", a[0], b)):
            if len(right) != 2 or right[1] != left:
                sizes = f"{left} on one side and {list(right)} on the other"
                return "RuntimeError", "mat1 and mat2 shapes cannot be multiplied", f"{name}.{index}", sizes
        total += b[0]
    if total < out:
        sizes = f"{total} rows in all where the layer gives {out}"
        return "RuntimeError", "Expected index", "adamss_B", sizes
    return None
