"""AdapterHub's layers while a forward is recorded: each is one operation, whatever is active in it.

What an active composition makes of its tensors is not in the graph; who runs the graph says what such an operation does
(`runtimes/adapters/`). Facts: adapters 1.0.0 to 1.3.0, composition.py (`adjust_tensors_for_parallel`,
`match_attn_matrices_for_parallel`), methods/{lora,bottleneck,prefix_tuning,reft,prompt_tuning,invertible}.py, utils.py
(`prefix_attention_mask`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module

from adaptlint.dataflow.shims import put
from adaptlint.dataflow.trace import layer_of
from adaptlint.hints import Any

LORA = "hub.lora"
MERGED = "hub.merged_lora"
BOTTLENECK = "hub.bottleneck"
PREFIX = "hub.prefix"
REFT = "hub.reft"
PROMPT = "hub.prompt"
PROMPT_MASK = "hub.prompt_mask"
INVERTIBLE = "hub.invertible"
MATCH = "hub.match"
ADJUST = "hub.adjust"
CONTEXT = "hub.context"
METHODS = ("bottleneck", "invertible", "prefix_tuning", "lora", "prompt_tuning", "reft", "mtl_lora")
BATCH_OF = ("input_ids", "decoder_input_ids", "attention_mask", "inputs_embeds", "pixel_values", "input_features")
"""Arguments that a pool of prefixes takes the batch from, in this order (methods/prefix_tuning.py, `forward`)."""


@contextmanager
def as_operations(torch: Any, recorder: Any, model: Any) -> Iterator[None]:
    """The layers and functions of the installed `adapters` note themselves."""
    notes = _Notes(torch, recorder, model)
    with ExitStack() as stack:
        for place, owner, name, make in _METHODS:
            holder = getattr(_imported(f"adapters.{place}"), owner, None)
            if holder is not None and name in vars(holder):
                stack.enter_context(put(holder, name, make(notes, vars(holder)[name])))
        for name, make in _FUNCTIONS:
            for file in [*sys.modules.values()]:
                if getattr(file, "__name__", "").startswith("adapters.") and name in vars(file):
                    stack.enter_context(put(file, name, make(notes, vars(file)[name])))
        yield


class _Notes:
    """Where operations are noted, with what a layer says of itself."""

    def __init__(self, torch: Any, recorder: Any, model: Any) -> None:
        self.torch = torch
        self.recorder = recorder
        self.layers = numbering(model)
        self.takes = taken(model)

    def add(self, op: str, args: list[Any], about: dict[str, Any], like: list[Any]) -> list[Any]:
        """One operation with outputs like these tensors (None stays None)."""
        with self.torch._C.DisableTorchFunction():
            made = [None if one is None else self.torch.empty_like(one, device="meta") for one in like]
            self.recorder.add(op, args, about, [one for one in made if one is not None])
        return made


def numbering(model: Any) -> dict[str, int]:
    """The library's number of the first layer below each path, as "decoder.layers." (`iter_layers`)."""
    names = {id(module): path for path, module in model.named_modules()}
    found: dict[str, int] = {}
    for number, layer in model.iter_layers():
        prefix, dot, own = layer_of(names[id(layer)]).rpartition(".")
        found.setdefault(prefix + dot, number - int(own))
    return found


def taken(model: Any) -> list[str]:
    """The methods that the library lets this model have (`supports_adapter`, `support_prompt_tuning`)."""
    asks = getattr(model, "supports_adapter", None)
    if asks is not None:
        return [method for method in METHODS if asks(method)]
    prompts = bool(getattr(model.base_model, "support_prompt_tuning", True))
    return [method for method in METHODS if prompts or method != "prompt_tuning"]


def about(layer: Any) -> dict[str, Any]:
    """Where it lies, as the library names it; its path is that of the module that runs."""
    return {"location": getattr(layer, "location_key", None), "attn": getattr(layer, "attn_key", None)}


def _projection(op: str) -> Callable[..., Any]:
    """A linear layer that LoRA may be added to."""

    def make(notes: _Notes, original: Callable[..., Any]) -> Callable[..., Any]:
        def forward(self: Any, x: Any) -> Any:
            output = original(self, x)
            return notes.add(op, [x, output], about(self), [output])[0]

        return forward

    return make


def _bottleneck(notes: _Notes, _: Callable[..., Any]) -> Callable[..., Any]:
    def forward(self: Any, hidden_states: Any, residual_input: Any, layer_norm: Any) -> Any:
        hooked = bool(getattr(self, "is_layer_hooked", False))
        told = {**about(self), "norm": layer_norm is not None, "hooked": hooked}
        return notes.add(BOTTLENECK, [hidden_states, residual_input], told, [hidden_states])[0]

    return forward


def _prefix(notes: _Notes, _: Callable[..., Any]) -> Callable[..., Any]:
    def forward(
        self: Any,
        key_states: Any,
        value_states: Any,
        residual_input: Any,
        attention_mask: Any = None,
        invert_mask: bool = True,
    ) -> Any:
        told = {**about(self), "invert": bool(invert_mask)}
        given = [key_states, value_states, residual_input, attention_mask]
        return tuple(notes.add(PREFIX, given, told, [key_states, value_states, attention_mask]))

    return forward


def _through(op: str) -> Callable[..., Any]:
    """A layer that takes states and hands them on."""

    def make(notes: _Notes, _: Callable[..., Any]) -> Callable[..., Any]:
        def forward(self: Any, hidden_states: Any, rev: bool = False) -> Any:
            return notes.add(op, [hidden_states], {**about(self), "rev": bool(rev)}, [hidden_states])[0]

        return forward

    return make


def _prompt_mask(notes: _Notes, _: Callable[..., Any]) -> Callable[..., Any]:
    def prefix_attention_mask(attention_mask: Any, dim: Any = 3, prefix_value: int = 0) -> Any:
        if attention_mask is None:
            return None
        told = {"dim": [dim] if isinstance(dim, int) else list(dim), "value": int(prefix_value)}
        return notes.add(PROMPT_MASK, [attention_mask], told, [attention_mask])[0]

    return prefix_attention_mask


def _match(notes: _Notes, _: Callable[..., Any]) -> Callable[..., Any]:
    def match_attn_matrices_for_parallel(query: Any, key: Any, value: Any) -> Any:
        return tuple(notes.add(MATCH, [query, key, value], {}, [query, key, value]))

    return match_attn_matrices_for_parallel


def _adjust(notes: _Notes, _: Callable[..., Any]) -> Callable[..., Any]:
    def adjust_tensors_for_parallel(hidden_states: Any, *tensors: Any) -> Any:
        return tuple(notes.add(ADJUST, [hidden_states, *tensors], {}, list(tensors)))

    return adjust_tensors_for_parallel


def _adjust_in_place(notes: _Notes, _: Callable[..., Any]) -> Callable[..., Any]:
    def adjust_tensors_for_parallel_(hidden_states: Any, *tensors: Any) -> None:
        there = [tensor for tensor in tensors if tensor is not None]
        if there:
            notes.recorder.add(ADJUST, [hidden_states, *there], {"in_place": True}, there)

    return adjust_tensors_for_parallel_


def _context(notes: _Notes, original: Callable[..., Any]) -> Callable[..., Any]:
    def enter(self: Any, model: Any, *args: Any, **kwargs: Any) -> None:
        original(self, model, *args, **kwargs)
        given = next((kwargs[name] for name in BATCH_OF if kwargs.get(name) is not None), args[0] if args else None)
        mask = kwargs.get("attention_mask", args[1] if len(args) > 1 else None)
        told = {"layers": [[prefix, first] for prefix, first in notes.layers.items()], "takes": notes.takes}
        notes.recorder.add(CONTEXT, [given, mask], told, ())

    return enter


_METHODS: tuple[tuple[str, str, str, Callable[..., Any]], ...] = (
    ("methods.lora", "LoRALinear", "forward", _projection(LORA)),
    ("methods.lora", "LoRAMergedLinear", "forward", _projection(MERGED)),
    ("methods.bottleneck", "BottleneckLayer", "bottleneck_layer_forward", _bottleneck),
    ("methods.prefix_tuning", "PrefixTuningLayer", "forward", _prefix),
    ("methods.reft", "ReftLayer", "forward", _through(REFT)),
    ("methods.prompt_tuning", "PromptTuningLayer", "forward", _through(PROMPT)),
    ("methods.invertible", "InvertibleAdapterLayer", "forward", _through(INVERTIBLE)),
    ("context", "ForwardContext", "__init__", _context),
    ("model_mixin", "InvertibleAdaptersMixin", "invertible_adapters_forward", _through(INVERTIBLE)),
)
_FUNCTIONS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("prefix_attention_mask", _prompt_mask),
    ("match_attn_matrices_for_parallel", _match),
    ("adjust_tensors_for_parallel", _adjust),
    ("adjust_tensors_for_parallel_", _adjust_in_place),
)


def _imported(file: str) -> Any:
    try:
        return import_module(file)
    except ImportError:
        return None
