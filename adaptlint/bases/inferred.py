"""A base known by its checkpoint's names and sizes alone: kinds are inferred, nothing is certain but the sizes."""

from __future__ import annotations

from adaptlint.bases.folded import fold_modules
from adaptlint.bases.headers import FLOATS
from adaptlint.bases.module import Module
from adaptlint.bases.record import empty_record
from adaptlint.bases.wanted import quantisation
from adaptlint.hints import TYPE_CHECKING, Any
from adaptlint.tables import load

if TYPE_CHECKING:
    from adaptlint.artefacts import TensorFile, TensorRow

Shape = tuple[int, ...]
_LANGUAGE_MODELS = ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM", "AutoModelForImageTextToText")
_BY_RANK = {3: "Conv1d", 4: "Conv2d", 5: "Conv3d"}


def infer_record(headers: TensorFile, config: dict[str, Any], asked: str | None) -> dict[str, Any]:
    """A record (see record.py) made from tensor names; `asked` or the architectures say whether there is a head."""
    names: dict[str, Any] = load()["bases/names.toml"]
    model_type = config.get("model_type")
    model_type = model_type if isinstance(model_type, str) else None
    architecture = _architecture(config)
    wanted = asked or architecture or ""
    shapes = _logical_shapes(headers.tensors, config, names)
    shapes = _fit_class(shapes, wanted, names["prefixes"].get(model_type or "", ""), names)
    embedding = _input_embedding(shapes, names)
    head = next((name for name in names["heads"]["language_model"] if f"{name}.weight" in shapes), None)
    record = empty_record()
    if head is None and embedding is not None and _has_language_head(wanted):
        head = "lm_head"  # not in the file, so it is the embedding itself
        shapes["lm_head.weight"] = shapes[f"{embedding}.weight"]
        record["ties"] = [[f"{embedding}.weight", "lm_head.weight"]]
    modules = _modules(shapes, model_type, names)
    features: dict[str, Any] = {"inferred": True}
    method = quantisation(config)
    if method:
        features["quantization"] = method
    return {
        **record,
        "model_type": model_type,
        "model_class": architecture if asked in (None, architecture) or _same_task(asked, architecture) else None,
        "config": config,
        "tree": fold_modules(modules),
        "input_embedding": embedding,
        "output_embedding": head,
        "features": features,
    }


def _architecture(config: dict[str, Any]) -> str | None:
    names = config.get("architectures")
    return names[0] if isinstance(names, list) and names and isinstance(names[0], str) else None


def _same_task(asked: str | None, architecture: str | None) -> bool:
    task = (asked or "").removeprefix("AutoModel")
    return bool(task and architecture and architecture.endswith(task))


def _has_language_head(wanted: str) -> bool:
    endings = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
    return wanted in _LANGUAGE_MODELS or wanted.endswith(endings)


def _logical_shapes(rows: dict[str, TensorRow], config: dict[str, Any], names: dict[str, Any]) -> dict[str, Shape]:
    """Parameter name -> shape; an empty shape stands for a packed weight whose sizes the file does not tell."""
    endings = tuple(names["packed"]["endings"])
    packed = tuple(names["packed"]["weights"])
    shapes: dict[str, Shape] = {}
    for name in sorted(rows, key=_natural):
        row = rows[name]
        if name.endswith(packed):
            shapes[name.rpartition(".")[0] + ".weight"] = _unpacked(row.shape, config)
        elif not name.endswith(endings) and ".weight." not in name:
            whole = row.dtype in FLOATS or row.dtype == "I8"
            if whole or not name.endswith(".weight"):
                shapes[name] = row.shape
            else:
                shapes[name] = ()
    return shapes


def _unpacked(shape: Shape, config: dict[str, Any]) -> Shape:
    """[out, in] of a weight packed into 32-bit words: GPTQ packs the inputs of [in, out], AWQ the outputs."""
    settings = config.get("quantization_config")
    bits = settings.get("bits") if isinstance(settings, dict) else None
    if type(bits) is not int or not 0 < bits <= 32 or len(shape) != 2:
        return ()
    if quantisation(config) == "awq":
        return shape[1] * 32 // bits, shape[0]
    return (shape[1], shape[0] * 32 // bits) if quantisation(config) == "gptq" else ()


def _fit_class(shapes: dict[str, Shape], wanted: str, prefix: str, names: dict[str, Any]) -> dict[str, Shape]:
    """Add or take off the body's prefix, and drop a head that the wanted class does not have."""
    heads = tuple(f"{name}." for name in names["heads"]["language_model"])
    body = wanted == "AutoModel" or (wanted.endswith("Model") and not wanted.endswith("LMHeadModel"))
    prefixed = any(name.startswith(prefix + ".") for name in shapes) if prefix else False
    if prefix and prefixed and body:
        inside = prefix + "."
        return {name.removeprefix(inside): shape for name, shape in shapes.items() if name.startswith(inside)}
    if prefix and not prefixed and not body:
        shapes = {n if n.startswith(heads) else f"{prefix}.{n}": shape for n, shape in shapes.items()}
    if wanted and not _has_language_head(wanted):
        shapes = {name: shape for name, shape in shapes.items() if not name.startswith(heads)}
    return shapes


def _input_embedding(shapes: dict[str, Shape], names: dict[str, Any]) -> str | None:
    for leaf in names["embeddings"]["leaves"][:8]:
        for name, shape in shapes.items():
            path = name.removesuffix(".weight")
            if path != name and len(shape) == 2 and (path == leaf or path.endswith("." + leaf)):
                return path
    return None


def _modules(shapes: dict[str, Shape], model_type: str | None, names: dict[str, Any]) -> list[Module]:
    params: dict[str, dict[str, Shape]] = {"": {}}
    for name, shape in shapes.items():
        path, _, leaf = name.rpartition(".")
        for depth in range(path.count(".") + 1 if path else 0):
            params.setdefault(".".join(path.split(".")[: depth + 1]), {})
        params[path][leaf] = shape
    parents = {path.rpartition(".")[0]: path.rpartition(".")[2].isdecimal() for path in params if path}
    modules = []
    for path, own in params.items():
        kind = _kind(path.rpartition(".")[2], own, model_type, names)
        if not own and parents.get(path):
            kind = "ModuleList"
        modules.append(Module(path, kind, kind, {leaf: shape for leaf, shape in own.items() if shape}, {}, {}))
    return modules


def _kind(leaf: str, params: dict[str, Shape], model_type: str | None, names: dict[str, Any]) -> str:
    if "in_proj_weight" in params:
        return "MultiheadAttention"
    weight = params.get("weight")
    if weight is None:
        return ""
    if len(weight) == 1:
        return "LayerNorm" if "norm" in leaf.lower() or leaf.startswith("ln") else ""
    if len(weight) in _BY_RANK:
        return _BY_RANK[len(weight)]
    if leaf in names["embeddings"]["leaves"]:
        return "Embedding"
    if model_type in names["conv1d"]["model_types"] and leaf in names["conv1d"]["leaves"]:
        return "Conv1D"
    return "Linear"


def _natural(name: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in name.split(".")]
