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

from adaptlint.artefacts import TensorFile
from adaptlint.bases import Base
from adaptlint.drafts.bytes import piece_bytes
from adaptlint.drafts.draft import Draft, pieces_of
from adaptlint.drafts.words import SAFE, UNSAFE, Inexact, Piece
from adaptlint.graph import Adapter
from adaptlint.hints import Any
from adaptlint.methods import PEFT_PREFIX
from adaptlint.named_tuple import NamedTuple

MLX_FILE = "adapters.safetensors"
MLX_NAME = re.compile(r"(.+)\.lora_([ab])")
HUB_NAME = re.compile(r"(.+)\.loras\.([^.]+)\.lora_([AB])")
KOHYA_NAME = re.compile(r"lora_(?:te\d?|unet|transformer|prior)_(\w+)\.(lora_down\.weight|lora_up\.weight|alpha)")
PLAIN_HUB = {"composition_mode": "add", "use_gating": False, "vera_d": None, "vera_b": None, "use_dora": False}
CLIP = "text_model."  # where the layers of CLIP's text models lay before transformers 5, and in these files still lie
FLOATS = {"F16": "<e", "F32": "<f", "F64": "<d"}
READERS = ("peft", "transformers")  # targets that read what PEFT reads


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


class Foreign(NamedTuple):
    """An adapter of another library: whose it is, the same as PEFT's (None where that is not exact, and why)."""

    dialect: str
    draft: Draft | None = None
    said: str = ""
    safety: str = SAFE
    refusal: str = ""


def read_foreign(draft: Draft, base: Base) -> Foreign | None:
    """What another library's adapter is in PEFT's terms; None for what is none of one that is read here."""
    if not base.certain_kinds or draft.pieces is not None or "peft_type" in draft.settings:
        return None
    for dialect, reader in (("MLX", _read_mlx), ("AdapterHub's library", _read_hub), ("sd-scripts", _read_kohya)):
        try:
            read = reader(draft, base)
            if read is not None:
                return Foreign(dialect, _as_peft(draft, read), read.said, read.safety)
        except Inexact as reason:
            return Foreign(dialect, refusal=str(reason))
    return None


def _as_peft(draft: Draft, read: Read) -> Draft:
    """The draft with the matrices under PEFT's names. Raises Inexact where a module lacks one of the two."""
    ranks: dict[str, set[int]] = {}
    for factor in read.factors:
        ranks.setdefault(factor.module, set()).add(factor.piece.shape[0 if factor.first else 1])
    sides = Counter(factor.module for factor in read.factors)
    odd = next((module for module in ranks if sides[module] != 2 or len(ranks[module]) != 1), "")
    if odd or not ranks:
        raise Inexact(f"{odd} has not the two matrices of one rank" if odd else "it has no matrices of a LoRA")
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
        factor.piece._replace(name=f"{PEFT_PREFIX}{factor.module}.lora_{'A' if factor.first else 'B'}.weight")
        for factor in read.factors
    ]
    return draft._replace(config=config, metadata={"format": "pt"}).with_pieces(pieces, *read.replaced)


def _whole(number: float) -> float | int:
    return int(number) if number == int(number) else number


def _read_mlx(draft: Draft, base: Base) -> Read | None:
    """mlx_lm's adapters.safetensors: both matrices are the other way round, and the scale is a factor."""
    given = draft.settings
    settings = given.get("lora_parameters")
    pieces = _pieces(draft, MLX_FILE)
    kind = given.get("fine_tune_type", "lora")
    if pieces is None or not ({"fine_tune_type", "lora_parameters"} & {*given}):
        return None
    if kind != "lora" or not isinstance(settings, dict):
        raise Inexact(f"fine_tune_type is {kind}" if kind != "lora" else "its config has no lora_parameters")
    scale, dropout = settings.get("scale"), settings.get("dropout", 0.0)
    if not isinstance(scale, (int, float)) or isinstance(scale, bool):
        raise Inexact(f"its config says {scale!r} for scale")
    factors, alphas = [], {}
    for piece in pieces:
        found = MLX_NAME.fullmatch(piece.source)
        module = _linear(found[1], base) if found else ""
        if not found or not module or len(piece.shape) != 2:
            raise Inexact(f"{piece.source} is no matrix of a LoRA at a linear layer of this base")
        turned = piece._replace(shape=(piece.shape[1], piece.shape[0]), turned=not piece.turned)
        factors.append(Factor(module, found[2] == "a", turned))
        rank = turned.shape[0 if found[2] == "a" else 1]
        alphas[module] = float(scale) * rank
        if rank == 0 or alphas[module] / rank != scale:
            raise Inexact(f"scale {scale} is no quotient of an alpha and rank {rank} in floating point")
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
        parts = hub_parts(Adapter("default", draft.folder.path), given, HubRelease(newest()))
    except (Refusal, NotModelled) as problem:
        raise Inexact("AdapterHub's library does not take its config") from problem
    config = parts[0].config if len(parts) == 1 and parts[0].kind == "lora" else {}
    plain = all(config.get(field, usual) == usual for field, usual in PLAIN_HUB.items())
    pieces = _pieces(draft, names[0])
    if config.get("architecture") != "lora" or not plain:
        raise Inexact("it is no plain LoRA, so that PEFT has nothing that computes the same")
    if pieces is None:
        raise Inexact(f"the tensors of {names[0]} cannot be copied as bytes")
    factors = []
    for piece in pieces:
        found = HUB_NAME.fullmatch(piece.source)
        module = _linear(found[1], base) if found else ""
        if not found or found[2] != given.get("name") or not module or len(piece.shape) != 2:
            raise Inexact(f"{piece.source} is no matrix of a LoRA at a linear layer of this base")
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
    if not any(match for _, match in matches):
        return None
    spelled, modules = _underscored(base)
    factors, alphas = [], {}
    for piece, match in matches:
        name = match[1] if match else ""
        if match is None or name not in modules or spelled[name] != 1:
            raise Inexact(f"{piece.source} is at no linear layer of this base, or at more than one")
        if match[2] == "alpha":
            alphas[modules[name]] = _number(piece)
        elif len(piece.shape) == 2:
            factors.append(Factor(modules[name], match[2].startswith("lora_down"), piece))
        else:
            raise Inexact(f"{piece.source} is no matrix")
    if any(alpha is None for alpha in alphas.values()):
        raise Inexact("an alpha cannot be read as one number")
    for factor in factors:
        if factor.first:
            alphas.setdefault(factor.module, float(factor.piece.shape[0]))  # without alpha the scale is 1
    said = f"convert {len(factors)} tensors of sd-scripts; the alphas go into the config"
    known = {module: alpha for module, alpha in alphas.items() if alpha is not None}
    return Read(factors, known, said, {}, tuple(found))


def _underscored(base: Base) -> tuple[Counter[str], dict[str, str]]:
    """How often each path is spelled so without dots, and the linear layer that it then is."""
    ours = [(path, module.kind) for path, module in base.by_path.items()]
    if base.model_type == "clip_text_model":
        ours += [(f"{CLIP}{path}", kind) for path, kind in ours if not path.startswith(CLIP)]
    spelled = Counter(path.replace(".", "_") for path, _ in ours)
    known = {path.replace(".", "_"): path for path, kind in ours if kind == "Linear"}
    return spelled, {name: path if path in base.by_path else path.removeprefix(CLIP) for name, path in known.items()}


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
