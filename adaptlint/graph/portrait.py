"""What an adapter folder holds, told without a base: method, ranks, scale, sizes, dtypes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod, sqrt

from adaptlint.artefacts import BITS, Folder, Malformed, TensorFile
from adaptlint.findings import fold_paths, number_ranges, path_shape
from adaptlint.graph.widths import likely_bases
from adaptlint.hints import Any, TypeVar
from adaptlint.methods import PEFT_PREFIX, Method, load_method
from adaptlint.named_tuple import NamedTuple

CONFIG_NAME = "adapter_config.json"
WEIGHTS_NAMES = ("adapter_model.safetensors", "adapter_model.bin")  # in the order in which PEFT looks for them
T = TypeVar("T")
_ROOT = "base_model."


class Portrait(NamedTuple):
    """One adapter. `ranks`: module path -> rank of its tensors; `others`: folded names of tensors that are not the
    method's own; `bytes` is the tensors' size; `problems`: files that cannot be read; `scale` of the config's r.
    """

    path: str
    format: str
    method: str | None
    config: dict[str, Any]
    scale: float | None
    ranks: dict[str, int]
    tensors: int
    dtypes: dict[str, int]
    bytes: int
    files: dict[str, int]
    others: list[str]
    problems: list[Malformed]
    fits: str = ""  # public bases whose layers have the widths of these tensors


class Row(NamedTuple):
    """Layers whose modules have the same cells: `layers` as `model.layers.{0-31}`, `cells` by module."""

    layers: str
    cells: dict[str, str]


def portrait(folder: Folder) -> Portrait | None:
    """The adapter in this folder; None where there is neither a config nor weights."""
    problems: list[Malformed] = []
    config: dict[str, Any] = {}
    if CONFIG_NAME in folder.names or CONFIG_NAME in folder.odd:
        document = folder.json(CONFIG_NAME)
        if isinstance(document, Malformed):
            problems.append(document)
        elif isinstance(document.value, dict):
            config = document.value
    weights = next((name for name in WEIGHTS_NAMES if name in folder.names or name in folder.odd), None)
    if weights is None and not config and not problems:
        return None
    tensors = folder.tensors(weights) if weights else None
    if isinstance(tensors, Malformed):
        problems.append(tensors)
    file = tensors if isinstance(tensors, TensorFile) else None
    method = _method(config)
    ranks, others = _ranks(file, method) if file and method else ({}, list(file.tensors) if file else [])
    return Portrait(
        path=folder.path,
        format=f"peft, {file.container}" if file else "peft",
        method=config["peft_type"] if isinstance(config.get("peft_type"), str) else None,
        config=config,
        scale=scale(config),
        ranks=ranks,
        tensors=len(file.tensors) if file else 0,
        dtypes=_dtypes(file) if file else {},
        bytes=sum(prod(row.shape) * BITS.get(row.dtype, 0) for row in file.tensors.values()) // 8 if file else 0,
        files={name: folder.names[name] for name in (CONFIG_NAME, weights) if name in folder.names},
        others=fold_paths(others),
        problems=problems,
        fits=likely_bases(file) if file else "",
    )


def scale(config: dict[str, Any]) -> float | None:
    """What LoRA's update is multiplied by: alpha / r, with rsLoRA alpha / sqrt(r); None for anything else."""
    alpha, rank = config.get("lora_alpha"), config.get("r")
    if config.get("peft_type") != "LORA" or not isinstance(alpha, (int, float)) or type(rank) is not int or rank < 1:
        return None
    try:
        return float(alpha / (sqrt(rank) if config.get("use_rslora") else rank))
    except OverflowError:  # a config may hold integers that no float does
        return None


def rank_rows(ranks: dict[str, int]) -> list[Row]:
    """The layers x modules table of ranks."""
    return rows_of(ranks, number_ranges)


def rows_of(found: Mapping[str, T], joined: Callable[[list[T]], str]) -> list[Row]:
    """A layers x modules table, layers with equal rows folded; `joined` says what several modules of one cell have."""
    table: dict[tuple[str, int | None], dict[str, list[T]]] = {}
    for path, value in found.items():
        stack, layer, module = _cell(path)
        table.setdefault((stack, layer), {}).setdefault(module, []).append(value)
    rows: dict[tuple[str, tuple[tuple[str, str], ...]], list[int]] = {}
    for (stack, layer), modules in table.items():
        said = tuple((module, joined(values)) for module, values in modules.items())
        rows.setdefault((stack, said), []).extend([] if layer is None else [layer])
    return [
        Row(fold_paths(f"{stack}.{layer}" for layer in sorted(layers))[0] if layers else stack, dict(said))
        for (stack, said), layers in rows.items()
    ]


def _cell(path: str) -> tuple[str, int | None, str]:
    """Row and column of a module: ("model.layers", 3, "self_attn.q_proj"); ("encoder", None, "proj")."""
    shape, numbers = path_shape(path)
    if not numbers or shape.startswith("*"):
        parent, _, module = path.rpartition(".")
        return parent or "(top)", None, module
    stack, _, module = shape.partition(".*")
    return stack, numbers[0], module.removeprefix(".") or "(itself)"


def _method(config: dict[str, Any]) -> Method | None:
    peft_type = config.get("peft_type", "LORA")
    try:
        method = load_method(peft_type.lower()) if isinstance(peft_type, str) else None
    except KeyError:  # a method that has no card yet
        return None
    return method


def _ranks(file: TensorFile, method: Method) -> tuple[dict[str, int], list[str]]:
    """Rank by module, from the tensors whose signature has an axis of size r; and the names of all foreign tensors."""
    axes: dict[str, int | None] = {}
    for spec in method.tensors:
        axis = spec.signature.dims.index("r") if "r" in spec.signature.dims else None
        if axes.get(spec.saved) is None:
            axes[spec.saved] = axis
    ranks: dict[str, int] = {}
    others: list[str] = []
    for key, row in file.tensors.items():
        saved = next((saved for saved in axes if key.endswith("." + saved)), None)
        if saved is None:
            if not _is_own(key, method):
                others.append(key)
            continue
        axis = axes[saved]
        if axis is not None and axis < len(row.shape):
            ranks.setdefault(key[: -len(saved) - 1].removeprefix(PEFT_PREFIX), row.shape[axis])
    return ranks, others


def _is_own(key: str, method: Method) -> bool:
    """True for the tensors that a method numbers, and for those that it keeps once beside the base."""
    numbered = (f".{spec.saved.partition('{i}')[0]}" for spec in method.tensors if spec.repeat)
    stem = key.rpartition(".")[0] if key.rpartition(".")[2].isdecimal() else key
    once = {spec.saved.partition(".{i}")[0] for spec in method.shared}
    return (
        any(part in key for part in numbered)
        or stem.removeprefix(_ROOT) in once
        or bool(method.copies and f".{method.copies}." in key)
    )


def _dtypes(file: TensorFile) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in file.tensors.values():
        counts[row.dtype] = counts.get(row.dtype, 0) + 1
    return counts
