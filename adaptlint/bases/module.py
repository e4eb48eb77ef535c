"""One module of a base, and the kinds that readers ask for."""

from __future__ import annotations

from adaptlint.hints import Any
from adaptlint.named_tuple import NamedTuple

# The torch and transformers classes that adapter libraries test with isinstance; subclasses count as their parent.
KINDS = (
    "Conv1D",
    "Linear",
    "Embedding",
    "EmbeddingBag",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "MultiheadAttention",
    "LayerNorm",
    "RMSNorm",
    "GroupNorm",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "LSTM",
    "GRU",
    "ModuleList",
    "ModuleDict",
    "Sequential",
    "ParameterList",
    "ParameterDict",
)


class Module(NamedTuple):
    """One entry of `named_modules()`.

    `cls` is the class's own name, `kind` the one of KINDS that it is an instance of ("" for none). `params` and
    `buffers` (persistent ones) are direct, in registration order, shapes as the module holds them. `attrs`: strides,
    groups and the like of convolutions, `is_transposed` of fused experts, `dtypes` of parameters that are no floats.
    Mappings are shared between repeated modules: read them, never write.
    """

    path: str
    cls: str
    kind: str
    params: dict[str, tuple[int, ...]]
    buffers: dict[str, tuple[int, ...]]
    attrs: dict[str, Any]
