"""Adapters of other libraries as PEFT's, where both compute the same numbers from the same matrices.

Sources: mlx-lm, tuner/lora.py (LoRALinear: y + scale * (x @ lora_a) @ lora_b), tuner/utils.py; adapters 1.3.0,
methods/lora.py (LoRALinear, scaling alpha / r); sd-scripts, networks/lora.py (LoRAModule, scale alpha / rank, names
with `_` for `.`); PEFT 0.21.2, tuners/lora/layer.py (lora_A [r, in], lora_B [out, r], scaling lora_alpha / r).
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Mapping
from typing import Any

from adaptlint.artefacts import TensorFile
from adaptlint.bases import Base
from adaptlint.graph import Adapter
from adaptlint.named_tuple import NamedTuple
from adaptlint.repair.draft import Draft, pieces_of
from adaptlint.repair.situation import NAME, Proposal, Situation
from adaptlint.repair.words import SAFE, UNSAFE, Piece, Step
from adaptlint.repair.writing import piece_bytes

PREFIX = "base_model.model."
MLX_FILE = "adapters.safetensors"
MLX_NAME = re.compile(r"(.+)\.lora_([ab])")
HUB_NAME = re.compile(r"(.+)\.loras\.([^.]+)\.lora_([AB])")
KOHYA_NAME = re.compile(r"lora_(?:te\d?|unet|transformer|prior)_(\w+)\.(lora_down\.weight|lora_up\.weight|alpha)")
PLAIN_HUB = {"composition_mode": "add", "use_gating": False, "vera_d": None, "vera_b": None, "use_dora": False}
FLOATS = {"F16": "<e", "F32": "<f", "F64": "<d"}
READERS = ("peft", "transformers")


class Factor(NamedTuple):
    """One matrix: the module that it belongs to in the base, whether it is lora_A, and where its bytes are."""

    module: str
    first: bool
    piece: Piece


class Read(NamedTuple):
    """An adapter in PEFT's terms: its matrices, the scale of each module, what the config says besides."""

    factors: list[Factor]
    alphas: Mapping[str, float]
    said: str
    config: Mapping[str, Any]
    replaced: tuple[str, ...]
    safety: str = SAFE


def convert(situation: Situation) -> Proposal | None:
    """The adapter in PEFT's spelling, if it is one of MLX, AdapterHub's library or sd-scripts and nothing is fused."""
    draft, base = situation.draft, situation.base
    readers = {target.partition("==")[0] for target in situation.question.targets}
    if base is None or not base.certain_kinds or draft.pieces is not None or "peft_type" in draft.settings:
        return None
    if not readers <= {*READERS}:
        return None
    for reader in (_read_mlx, _read_hub, _read_kohya):
        read = reader(draft, base)
        if read is not None:
            return _proposed(draft, read)
    return None


def _proposed(draft: Draft, read: Read) -> Proposal | None:
    """The draft with the matrices under PEFT's names; None where a module lacks one of the two."""
    ranks: dict[str, set[int]] = {}
    for factor in read.factors:
        ranks.setdefault(factor.module, set()).add(factor.piece.shape[0 if factor.first else 1])
    sides = Counter(factor.module for factor in read.factors)
    if not ranks or {*sides.values()} != {2} or any(len(sizes) != 1 for sizes in ranks.values()):
        return None
    rank_of = {module: sizes.pop() for module, sizes in ranks.items()}
    rank = Counter(rank_of.values()).most_common(1)[0][0]
    alpha = Counter(read.alphas[module] for module in rank_of).most_common(1)[0][0]
    config = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": _whole(alpha),
        "target_modules": sorted(rank_of),
        "rank_pattern": {module: size for module, size in rank_of.items() if size != rank},
        "alpha_pattern": {m: _whole(read.alphas[m]) for m in rank_of if read.alphas[m] != alpha},
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        **read.config,
    }
    pieces = [
        factor.piece._replace(name=f"{PREFIX}{factor.module}.lora_{'A' if factor.first else 'B'}.weight")
        for factor in read.factors
    ]
    made = draft._replace(config=config, metadata={"format": "pt"}).with_pieces(pieces, *read.replaced)
    return Proposal(Step("convert", read.safety, read.said), made)


def _whole(number: float) -> float | int:
    return int(number) if number == int(number) else number


def _read_mlx(draft: Draft, base: Base) -> Read | None:
    """mlx_lm's adapters.safetensors: both matrices are the other way round, and the scale is a factor."""
    given = draft.settings
    settings = given.get("lora_parameters")
    pieces = _pieces(draft, MLX_FILE)
    if not isinstance(settings, dict) or given.get("fine_tune_type", "lora") != "lora" or pieces is None:
        return None
    scale, dropout = settings.get("scale"), settings.get("dropout", 0.0)
    if not isinstance(scale, (int, float)) or isinstance(scale, bool):
        return None
    factors, alphas = [], {}
    for piece in pieces:
        found = MLX_NAME.fullmatch(piece.source)
        module = _linear(found[1], base) if found else ""
        if not found or not module or len(piece.shape) != 2:
            return None
        turned = piece._replace(shape=(piece.shape[1], piece.shape[0]), turned=not piece.turned)
        factors.append(Factor(module, found[2] == "a", turned))
        rank = turned.shape[0 if found[2] == "a" else 1]
        alphas[module] = float(scale) * rank
        if rank == 0 or alphas[module] / rank != scale:
            return None
    said = f"convert {len(pieces)} tensors of MLX: transposed, and lora_alpha = scale {scale:g} times the rank"
    config = {"task_type": "CAUSAL_LM", "base_model_name_or_path": given.get("model"), "lora_dropout": dropout}
    return Read(factors, alphas, said, config, (MLX_FILE,))


def _read_hub(draft: Draft, base: Base) -> Read | None:
    """A LoRA of AdapterHub's library: the same matrices under other names, and the same scaling."""
    from adaptlint.runtimes.adapters.hub_adapter import HEADS, hub_parts, is_hub_config, weight_names
    from adaptlint.runtimes.adapters.release import HubRelease, newest
    from adaptlint.runtimes.peft.refusal import NotModelled, Refusal

    given = draft.settings
    names = weight_names(draft.folder)
    if not is_hub_config(given) or not names:
        return None
    try:
        parts = hub_parts(Adapter(NAME, draft.folder.path), given, HubRelease(newest()))
    except (Refusal, NotModelled):
        return None
    config = parts[0].config if len(parts) == 1 and parts[0].kind == "lora" else {}
    plain = all(config.get(field, usual) == usual for field, usual in PLAIN_HUB.items())
    pieces = _pieces(draft, names[0])
    if config.get("architecture") != "lora" or not plain or pieces is None:
        return None
    factors = []
    for piece in pieces:
        found = HUB_NAME.fullmatch(piece.source)
        module = _linear(found[1], base) if found else ""
        if not found or found[2] != given.get("name") or not module or len(piece.shape) != 2:
            return None
        factors.append(Factor(module, found[3] == "A", piece))
    heads = [name for name in HEADS if name in draft.folder.names]
    said = f"convert {len(pieces)} tensors of AdapterHub's library; r and alpha stay"
    if heads:
        said += f"; the head in {', '.join(heads)} stays behind, because PEFT has no place for it"
    alphas = {factor.module: float(config["alpha"]) for factor in factors}
    more = {"base_model_name_or_path": given.get("model_name") or None, "lora_dropout": config["dropout"]}
    return Read(factors, alphas, said, more, tuple(names), UNSAFE if heads else SAFE)


def _read_kohya(draft: Draft, base: Base) -> Read | None:
    """A file of sd-scripts whose modules are all in this base: dots are underscores there, and alpha is a tensor."""
    found = [name for name in draft.folder.names if name.endswith(".safetensors")]
    pieces = _pieces(draft, found[0]) if len(found) == 1 and not draft.settings else None
    matches = [(piece, KOHYA_NAME.fullmatch(piece.source)) for piece in pieces or ()]
    spelled = Counter(path.replace(".", "_") for path in base.by_path)
    modules = {path.replace(".", "_"): path for path, module in base.by_path.items() if module.kind == "Linear"}
    factors, alphas = [], {}
    for piece, match in matches:
        name = match[1] if match else ""
        if match is None or name not in modules or spelled[name] != 1:
            return None
        if match[2] == "alpha":
            alphas[modules[name]] = _number(piece)
        elif len(piece.shape) == 2:
            factors.append(Factor(modules[name], match[2].startswith("lora_down"), piece))
        else:
            return None
    if not factors or any(alpha is None for alpha in alphas.values()):
        return None
    for factor in factors:
        if factor.first:
            alphas.setdefault(factor.module, float(factor.piece.shape[0]))  # without alpha the scale is 1
    said = f"convert {len(factors)} tensors of sd-scripts; the alphas go into the config"
    known = {module: alpha for module, alpha in alphas.items() if alpha is not None}
    return Read(factors, known, said, {}, tuple(found))


def _number(piece: Piece) -> float | None:
    """The value of a tensor of one element."""
    data = b"".join(piece_bytes(piece))
    if piece.dtype == "BF16" and len(data) == 2:
        return float(struct.unpack("<f", b"\0\0" + data)[0])
    code = FLOATS.get(piece.dtype)
    return float(struct.unpack(code, data)[0]) if code and len(data) == struct.calcsize(code) else None


def _pieces(draft: Draft, name: str) -> tuple[Piece, ...] | None:
    file = draft.folder.tensors(name) if name in draft.folder.names else None
    return pieces_of(file) if isinstance(file, TensorFile) else None


def _linear(path: str, base: Base) -> str:
    """The Linear of the base that has this path, with or without the prefix of a class with a head; "" for none."""
    prefix = str(base.features.get("base_model_prefix") or "")
    for known in (path, f"{prefix}.{path}", path.removeprefix(f"{prefix}.")):
        if known in base.by_path:
            return known if base.by_path[known].kind == "Linear" else ""
    return ""
