"""The imported libraries, handed on by meta_build.py so that no other file imports them."""

from __future__ import annotations

from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple


class Libraries(NamedTuple):
    """torch, transformers and those of its modules that lie deeper; `conversions` is None before transformers 5."""

    torch: Any
    transformers: Any
    configs: Any  # CONFIG_MAPPING: model type -> config class
    auto: Any  # modeling_auto
    conv1d: Any
    conversions: Any
