"""The base's own checkpoint headers laid over the class's table: the sizes on disk win, and differences are kept."""

from __future__ import annotations

from adaptlint.bases.base import Base, Overlay, Shape
from adaptlint.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from adaptlint.artefacts import TensorFile

FLOATS = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"})


def overlay_headers(base: Base, headers: TensorFile) -> Overlay:
    """Join header names to the class's parameters and compare sizes. A quantised base's headers say nothing here."""
    if "quantization" in base.features:
        return Overlay({}, [], [], [])
    table = base.parameters()
    if {name: row.shape for name, row in headers.tensors.items()} == table:  # as it mostly is
        return Overlay({}, [], [], [])
    found = dict.fromkeys(table, False)
    disagreements: list[tuple[str, Shape, Shape]] = []
    strangers: dict[str, Shape] = {}
    for name, row in headers.tensors.items():
        expected = table.get(name)
        if expected is None:
            strangers[name] = row.shape
            continue
        found[name] = True
        if expected != row.shape and row.dtype in FLOATS:
            disagreements.append((name, row.shape, expected))
    surplus: list[str] = []
    if strangers:
        renamed, surplus = _rename(base, strangers, table)
        for name, shape in renamed.items():
            found[name] = True
            if table[name] != shape:
                disagreements.append((name, shape, table[name]))
    return _with_ties(base, found, disagreements, surplus)


def _with_ties(
    base: Base, found: dict[str, bool], disagreements: list[tuple[str, Shape, Shape]], surplus: list[str]
) -> Overlay:
    """One tensor stands in the file for all parameters that are tied to it, and gives all of them its size."""
    shapes = {name: own for name, own, _ in disagreements}
    for first, other in base.ties:
        saved, absent = (first, other) if found[first] else (other, first)
        if found[saved] and not found[absent]:
            found[absent] = True
            if saved in shapes:
                shapes[absent] = shapes[saved]
    unsaved = [name for name, there in found.items() if not there]
    return Overlay(shapes, disagreements, unsaved, surplus)


def _rename(base: Base, strangers: dict[str, Shape], table: dict[str, Shape]) -> tuple[dict[str, Shape], list[str]]:
    """Names that the class does not have, through transformers' transforms and the body's prefix."""
    from adaptlint.bases.transforms import Transform, rename_key, split_transforms

    renamings, converters = split_transforms(base.transforms)
    prefix = str(base.features.get("base_model_prefix", ""))
    buffers = {f"{module.path}.{name}".lstrip(".") for module in [base.root, *base.modules] for name in module.buffers}
    known = table.keys() | buffers
    renamed: dict[str, Shape] = {}
    collected: dict[str, tuple[Transform, dict[str, list[Shape]]]] = {}
    surplus: list[str] = []
    for name, shape in strangers.items():
        key, converter, source = rename_key(name, renamings, converters)
        if converter is None or source is None:
            key = fitting_prefix(key, prefix, known)
            if key in table:
                renamed[key] = shape
            elif key not in buffers:
                surplus.append(name)
            continue
        collected.setdefault(key, (converter, {}))[1].setdefault(source, []).append(shape)
    for key, (converter, sources) in collected.items():
        made = converter.convert_shapes(key, sources)
        for target, shape in made.items() if made else [(key, table.get(key, ()))]:
            fitted = fitting_prefix(target, prefix, known)
            if fitted in table:
                renamed[fitted] = shape if made else table[fitted]
    return renamed, surplus


def fitting_prefix(key: str, prefix: str, known: set[str]) -> str:
    """The key with the body's prefix taken off or put before it, whichever the class knows."""
    if prefix and key not in known:
        shorter = key.removeprefix(prefix + ".")
        if shorter != key and shorter in known:
            return shorter
        if f"{prefix}.{key}" in known:
            return f"{prefix}.{key}"
    return key
