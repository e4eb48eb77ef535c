"""A LoRA of PEFT as what every library of LoRA has: two matrices and a scale for each adapted linear layer.

Source: PEFT 0.21.2, tuners/lora/layer.py (`update_layer`: scaling lora_alpha / r, or lora_alpha / sqrt(r)), utils
(`get_pattern_key`: a key of a pattern is a module's path or its end).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from adaptlint.bases import Base
from adaptlint.drafts.draft import Draft, pieces_of
from adaptlint.drafts.words import Inexact, Piece
from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple
from adaptlint.repair.config_edits import usual_values

NAME = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")
PATH = re.compile(r"[A-Za-z0-9_.]+")
ABOUT_PLACES = {
    "auto_mapping", "base_model_name_or_path", "exclude_modules", "fan_in_fan_out", "inference_mode", "layers_pattern",
    "layers_to_transform", "peft_type", "peft_version", "revision", "target_modules", "task_type",
}  # fmt: skip
"""Fields that say where the matrices are, or nothing: the tensors' names say it, too."""
NUMBERS = {"r", "lora_alpha", "lora_dropout", "rank_pattern", "alpha_pattern", "use_rslora", "init_lora_weights"}
PLAIN_INITS = (True, False, None, "gaussian", "orthogonal")
"""Beginnings that leave the base's own weights alone."""


class Adapted(NamedTuple):
    """One linear layer: lora_A [rank, in] and lora_B [out, rank], and what PEFT calls lora_alpha there."""

    first: Piece
    second: Piece
    rank: int
    alpha: float


class PlainLora(NamedTuple):
    """An adapter by the paths of its modules; `rooted`: it is scaled by alpha / sqrt(rank), not by alpha / rank."""

    modules: Mapping[str, Adapted]
    rooted: bool
    settings: Mapping[str, Any]

    def scale(self, module: str) -> float:
        """The factor of the product of both matrices, as PEFT works it out."""
        one = self.modules[module]
        return one.alpha / math.sqrt(one.rank) if self.rooted else one.alpha / one.rank

    def alpha(self, module: str) -> float:
        """The alpha that gives the same factor where it is alpha / rank. Raises Inexact where it would be rounded."""
        one = self.modules[module]
        if not self.rooted:
            return one.alpha
        root = math.isqrt(one.rank)
        if root * root != one.rank:
            raise Inexact(
                f"use_rslora divides lora_alpha by the root of {one.rank}; over {one.rank} it would be rounded"
            )
        return one.alpha * root

    def one(self, values: Mapping[str, float], what: str, whose: str) -> float:
        """The value that all modules share. Raises Inexact where they differ."""
        different = sorted({*values.values()})
        if len(different) > 1:
            listed = ", ".join(f"{value:g}" for value in different[:4])
            raise Inexact(f"its modules have different {what} ({listed}), and {whose} has one for all")
        return different[0]


def take_apart(draft: Draft, base: Base) -> PlainLora:
    """The adapter of a draft in PEFT's spelling. Raises Inexact for what is more than two matrices and a scale."""
    settings = draft.settings
    _refuse_more(settings)
    weights = draft.weights
    pieces = draft.pieces if draft.pieces is not None else pieces_of(weights) if weights is not None else None
    if not pieces:
        raise Inexact("its tensors cannot be copied as bytes")
    sides: dict[str, dict[str, Piece]] = {}
    for piece in pieces:
        found = NAME.fullmatch(piece.name)
        if found is None or len(piece.shape) != 2:
            raise Inexact(f"{piece.name} is none of the two matrices of a linear layer")
        module = base.by_path.get(found[1])
        if module is None or module.kind != "Linear":
            kind = "no module of the base" if module is None else f"a {module.kind or module.cls}"
            raise Inexact(f"{found[1]} is {kind}, and only linear layers have the same matrices everywhere")
        sides.setdefault(found[1], {})[found[2]] = piece
    modules = {path: _adapted(path, pair, settings) for path, pair in sides.items()}
    return PlainLora(modules, bool(settings.get("use_rslora")), settings)


def _refuse_more(settings: Mapping[str, Any]) -> None:
    if settings.get("peft_type") != "LORA":
        raise Inexact(f"{settings.get('peft_type')} is no LoRA")
    usual = usual_values(settings)
    for field, value in settings.items():
        if field in ABOUT_PLACES or field in NUMBERS or field not in usual:
            continue
        if value and value not in (usual[field], "none"):
            raise Inexact(f"{field} is {str(value)[:60]}, which makes it more than two matrices and a scale")
    if settings.get("init_lora_weights", True) not in PLAIN_INITS:
        began = settings["init_lora_weights"]
        raise Inexact(f"init_lora_weights is {began}: PEFT changes the base's own weights as it loads such an adapter")


def _adapted(path: str, pair: Mapping[str, Piece], settings: Mapping[str, Any]) -> Adapted:
    if pair.keys() != {"A", "B"}:
        raise Inexact(f"{path} has only one of the two matrices")
    rank, other = pair["A"].shape[0], pair["B"].shape[1]
    if rank != other or not rank:
        raise Inexact(f"the two matrices of {path} have ranks {rank} and {other}")
    alpha = _of_pattern(path, settings.get("alpha_pattern"), settings.get("lora_alpha", 8))
    if isinstance(alpha, bool) or not isinstance(alpha, int | float):
        raise Inexact(f"lora_alpha is {alpha!r}")
    return Adapted(pair["A"], pair["B"], rank, float(alpha))


def _of_pattern(path: str, pattern: Any, usual: Any) -> Any:
    """The value of the first key that is the path or its end; keys that are regular expressions are refused."""
    for key, value in (pattern or {}).items():
        if not PATH.fullmatch(key):
            raise Inexact(f"alpha_pattern has the regular expression {key[:60]}")
        if re.fullmatch(rf"(?:.*\.)?{key}", path):
            return value
    return usual
