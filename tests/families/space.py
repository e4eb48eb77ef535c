"""The raw configs of one model type: its fields, what may stand in them, and neighbours of a config drawn at random."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import random
import re
import sys
from typing import Any

from adaptlint.bases.answers import plain
from adaptlint.bases.resolved import ROPE_KEYS
from adaptlint.bases.wanted import MAX_COUNT, _limit

Raw = dict[str, Any]
APART = frozenset({"transformers_version", "dtype", "id2label", "label2id", "model_type", "return_dict", *ROPE_KEYS})
ROPE_NAMES = ("rotary_emb_base", "rotary_pct", "global_rope_theta", "local_rope_theta", "rope_local_base_freq")
"""What settings of rotary embeddings were called."""
NO_FIELDS = frozenset({"gradient_checkpointing", "num_labels", "num_hidden_layers", "vocab_size", *ROPE_NAMES}) | {
    "attention_mask",
    "cu_seq_lens_q",
    "output_attentions",
    "position_ids",
    "token_type_ids",
    "use_cache",
}
"""Of what `UNLISTED` finds: what every config has, settings of rotary embeddings, and inputs of a forward."""
LAYERS = ("layer", "depth", "block", "stage")
ACTIVATIONS = ("gelu", "relu", "silu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "gelu_fast", "tanh", "swish")
SIZE_WORDS = ("scalar", "size", "dim", "head", "heads", "width", "hidden", "d", "channels", "positions", "embd")
PERIOD_WORDS = ("every", "freq", "frequency", "group", "groups", "interval", "pattern", "period", "step", "stride")
LARGEST = 1 << 17
DEEPEST = 6
START_LAYERS = 2
MOST_COUNTED = 64
MOST_LABELS = 40
BEYOND = {
    "albert": ("inner_group_num", "num_hidden_groups"),
    "doge": ("is_moe",),
    "gemma3_text": ("use_bidirectional_attention",),
    "deberta": ("pos_att_type",),
    "mvp": ("use_prompt",),
    "nllb-moe": ("activation_function",),
    "squeezebert": ("output_groups",),
    "deberta-v2": ("pos_att_type", "position_buckets", "conv_kernel_size", "conv_groups", "conv_act", "embedding_size"),
}
"""Fields that keep their default, for which templates have no formula: Doge takes the square root of how many experts
there are, Gemma 3 makes its window half as wide and one more in both directions, and DeBERTa has projections by the
words in a list, a convolution that pads by half of its kernel, and rows by buckets where there are any (transformers
5.23). Its published models are therefore not covered. Prompts of MVP add rows of their own. Groups of
ALBERT's layers, of which its models have one, decide which layer is called when. Experts of NLLB-MoE are in
every fourth layer alone, deeper than most of the configs that are drawn. What SqueezeBERT's last convolution may
be divided into depends on two widths, of which either, drawn alone, breaks something else first.
"""
TIED = "tie_word_embeddings"
PADDING = "pad_token_id"
UNLISTED = re.compile(
    r"""(?:getattr\(\s*(?:self\.)?config,|kwargs\.(?:pop|get)\()\s*["'](\w+)["'],\s*([^()]*?(?:\([^()]*\))?[^()]*?)\)"""
)
"""Keys that a class takes without listing them, with the default: those of configs that were published long ago."""
_LITERAL = re.compile(r"Literal\[(.*?)\]")


class NoSpace(Exception):
    """Why the configs of a model type are not drawn."""


class Field:
    """One field of a config class."""

    __slots__ = ("default", "kinds", "name", "options")

    def __init__(self, name: str, default: Any, kinds: frozenset[str], options: list[str]) -> None:
        self.name = name
        self.default = default
        self.kinds = kinds
        self.options = options


class Space:
    """The fields of a model type's config class, with a small config to start from."""

    def __init__(self, model_type: str, config_class: Any, sources: str) -> None:
        if getattr(config_class, "sub_configs_defaults", None):
            raise NoSpace("a config of several parts")
        self.model_type = model_type
        self.config_class = config_class
        self.fields = {
            field.name: _field(field, sources)
            for field in dataclasses.fields(config_class)
            if field.name not in APART and not field.name.startswith("_")
        }
        self.fields["num_labels"] = Field("num_labels", 2, frozenset({"int"}), [])
        if TIED not in self.fields and f'kwargs.pop("{TIED}"' in inspect.getsource(config_class):
            self.fields[TIED] = Field(TIED, True, frozenset({"bool"}), [])  # as T5's asks for what is no field of it
        mapped = config_class.attribute_map
        other = {*self.fields, *APART, *NO_FIELDS, *mapped, *mapped.values()}
        self.unlisted = {name: field for name, field in _unlisted(sources).items() if name not in other}
        self.fields |= self.unlisted
        self.kept = BEYOND.get(model_type, ())
        self.start = self._small()

    def defaults(self) -> Raw:
        """Every field's default as JSON has it, labels apart."""
        return {name: field.default for name, field in self.fields.items() if name != "num_labels"}

    def _small(self) -> Raw:
        """The class's default config with few layers and experts."""
        raw: Raw = {"model_type": self.model_type}
        for name, field in self.fields.items():
            value = field.default
            if type(value) is int and self.layered(name) and value > START_LAYERS:
                raw[name] = START_LAYERS
            elif type(value) is int and "expert" in name and value > 8 and _limit(name, None) == MAX_COUNT:
                raw[name] = 8 if "per_" not in name and "top" not in name else 2
        deep = {self.fields[name].default for name in raw if name != "model_type" and self.layered(name)}
        for name, field in self.fields.items():
            if isinstance(field.default, list) and len(field.default) in deep:
                raw[name] = field.default[:START_LAYERS]
        return raw

    def layered(self, name: str) -> bool:
        """True for fields that count layers; where the default is null the class counts as another field does."""
        field = self.fields.get(name)
        if field is None or "head" in name or name in self.unlisted:
            return False
        counted = field.default is None and "int" in field.kinds and name.startswith("num_")
        if type(field.default) is not int and not counted:
            return False
        return _limit(name, None) == MAX_COUNT and any(word in name for word in LAYERS)

    def sized(self, name: str) -> bool:
        """True for fields that no real config has a zero in: what a class does then says nothing."""
        default = self.fields[name].default if name in self.fields else None
        if default == 0 or type(default) is float or "drop" in name:
            return False
        return self.layered(name) or any(word in (*SIZE_WORDS, *PERIOD_WORDS) for word in name.split("_"))

    def value(self, raw: Raw, name: str) -> Any:
        """What a field has in this config."""
        return raw[name] if name in raw else self.fields[name].default

    def moved(self, raw: Raw, draw: random.Random, names: list[str], steps: int) -> Raw:
        """A neighbour: some of the named fields have other values."""
        moved, names = dict(raw), [name for name in names if name not in self.kept]
        if draw.random() < 0.25:
            self._scale(moved, draw, names)
        for name in draw.sample(names, min(steps, len(names))):
            self._move(moved, draw, name)
        return {name: value for name, value in moved.items() if value is not None or name not in self.unlisted}

    def _scale(self, raw: Raw, draw: random.Random, names: list[str]) -> None:
        """Several sizes times the same factor."""
        sizes = [n for n in names if type(self.value(raw, n)) is int and not self.layered(n)]
        factor = draw.choice((2, 3))
        for name in draw.sample(sizes, min(len(sizes), draw.randint(2, 4))):
            value = self.value(raw, name) * factor
            if value <= self._largest(name):
                raw[name] = value

    def _largest(self, name: str) -> int:
        if name == "num_labels":
            return MOST_LABELS
        if self.layered(name):
            return DEEPEST
        return MOST_COUNTED if _limit(name, None) == MAX_COUNT else LARGEST

    def _move(self, raw: Raw, draw: random.Random, name: str) -> None:
        before = self.value(raw, name)
        after = self._drawn(raw, draw, name, before)
        if type(after) is int and type(before) is int and self.layered(name):
            self._refit_lists(raw, draw, before, after)
        raw[name] = after

    def _refit_lists(self, raw: Raw, draw: random.Random, before: int, after: int) -> None:
        """Lists with an entry for each layer follow the number of layers."""
        for name in self.fields:
            value = self.value(raw, name)
            if isinstance(value, list) and value and len(value) == before and name in raw:
                raw[name] = [draw.choice(value) for _ in range(after)]

    def _drawn(self, raw: Raw, draw: random.Random, name: str, before: Any) -> Any:
        field = self.fields[name]
        if before is not None and "null" in field.kinds and draw.random() < 0.2:
            return None
        if type(before) is bool:
            return not before
        if type(before) is int:
            return self._whole(raw, draw, name, before)
        if type(before) is float:
            return draw.choice((before * 2, before / 2, 0.0, 0.1, 0.5, 1.0, 2.0, 4.0))
        if isinstance(before, str):
            return draw.choice(field.options or [before])
        if isinstance(before, list):
            return self._list(raw, draw, before)
        return self._from_null(raw, draw, field)

    def _whole(self, raw: Raw, draw: random.Random, name: str, before: int) -> int:
        if self.layered(name):
            return draw.randint(1, DEEPEST)
        if "layer" in name and draw.random() < 0.5:  # from which layer on
            return draw.randint(0, DEEPEST)
        others = [v for n in self.fields if type(v := self.value(raw, n)) is int and 0 < v <= self._largest(name)]
        around = [before * 2, before * 3, before // 2, before // 4, before + 1, before - 1, before * 2]
        choices = [
            v
            for v in [*around, draw.choice(others or [1]), draw.randint(0, 8), draw.randint(0, 3)]
            if 0 <= v <= self._largest(name)
        ]
        return draw.choice(choices)

    def _list(self, raw: Raw, draw: random.Random, before: list[Any]) -> list[Any]:
        after = list(before)
        if not after:
            return [0] if draw.random() < 0.5 else [1, 2]
        place = draw.randrange(len(after))
        entry = after[place]
        if type(entry) is int:
            after[place] = draw.choice([v for v in (entry * 2, entry // 2, entry + 1, entry * 3) if v <= LARGEST])
            if draw.random() < 0.4:
                after = [part * 2 if type(part) is int else part for part in before]
        elif isinstance(entry, bool | str):
            found = sorted({*before, *LAYER_TYPES} if isinstance(entry, str) else {True, False}, key=str)
            after[place] = draw.choice(found)
        return after

    def _from_null(self, raw: Raw, draw: random.Random, field: Field) -> Any:
        kinds = sorted(field.kinds - {"null", "dict"})
        kind = draw.choice(kinds) if kinds else ""
        if kind == "int":
            sizes = [v for n in self.fields if type(v := self.value(raw, n)) is int and v > 0]
            value = draw.choice([*sizes, 1, 2, 8, 16, 32, 64])
            return min(value, self._largest(field.name))
        if kind == "float":
            return draw.choice((0.0, 0.1, 0.5, 1.0, 2.0))
        if kind == "bool":
            return draw.random() < 0.5
        if kind == "str":
            return draw.choice(field.options) if field.options else None
        depth = next((self.value(raw, n) for n in self.fields if self.layered(n)), 1) or 1
        if (kind == "list" and "layer_types" in field.name) or "block_type" in field.name:
            return [draw.choice(LAYER_TYPES) for _ in range(depth)]
        if kind == "list" and "layers" in field.name and draw.random() < 0.5:  # said of each layer
            return [draw.randint(0, 1) for _ in range(depth)]
        return [draw.randint(0, 3)] if kind == "list" else None


LAYER_TYPES = ("full_attention", "sliding_attention", "linear_attention", "chunked_attention")


def _field(field: Any, sources: str) -> Field:
    default = field.default
    if default is dataclasses.MISSING:
        default = field.default_factory() if field.default_factory is not dataclasses.MISSING else None
    default = json.loads(json.dumps(plain(default)))
    said = field.type if isinstance(field.type, str) else str(field.type).replace("<class '", "").replace("'>", "")
    kinds = {word for word in ("int", "float", "bool", "str", "list", "dict") if re.search(rf"\b{word}\b", said)}
    kinds |= {"list"} if re.search(r"\b[tT]uple|Sequence|List\b", said) else set()
    kinds |= {"null"} if "None" in said or "Optional" in said or default is None else set()
    literal = _LITERAL.search(said)
    options = re.findall(r"""['"]([^'"]+)['"]""", literal[1]) if literal else []
    if literal:
        kinds.add("str")
    return Field(field.name, default, frozenset(kinds), _options(field.name, default, options, sources))


def _unlisted(sources: str) -> dict[str, Field]:
    """The fields that `UNLISTED` finds; a default that is no literal is one that the class works out itself."""
    found: dict[str, Field] = {}
    for name, text in UNLISTED.findall(sources):
        try:
            default = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError):
            default = None
        if name in found and found[name].default != default:
            default = None  # each place has its own
        number = "float" if "drop" in name else "int"
        kinds = {"null", number} if default is None else {type(default).__name__}
        found[name] = Field(name, default, frozenset(kinds), _options(name, default, [], sources))
    return found


def _options(name: str, default: Any, literal: list[str], sources: str) -> list[str]:
    found = set(literal)
    if isinstance(default, str):
        found.add(default)
        if default in ACTIVATIONS:
            found.update(ACTIVATIONS)
    found.update(re.findall(rf"""["'](\w+)["'] in (?:self\.|config\.)+{name}\b""", sources))
    for match in re.finditer(rf"\b{name}\s*(?:==|!=|(?:not )?in)\s*(\[[^\]]*\]|\([^)]*\)|[\"'][^\"']*[\"'])", sources):
        found.update(re.findall(r"""["']([A-Za-z0-9_-]{1,40})["']""", match[1]))
    return sorted(found)


def sources_of(config_class: Any, model_classes: list[Any]) -> str:
    """The text of the modules in which these classes and their parents are written, transformers' shared ones apart."""
    modules = {
        parent.__module__
        for cls in (config_class, *model_classes)
        for parent in cls.__mro__
        if ".models." in parent.__module__
    }
    return "\n".join(inspect.getsource(sys.modules[name]) for name in sorted(modules))
