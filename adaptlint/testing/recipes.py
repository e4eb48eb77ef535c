"""A recipe is a small table that stands for a base and an adapter folder; `build` writes them as real files.

The format is described in CONTRIBUTING.md, section "Recipes".
"""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Mapping

from adaptlint import tables
from adaptlint.hints import Any
from adaptlint.methods import PEFT_PREFIX, has_method, load_method
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.peft.release import RELEASES, parse_version
from adaptlint.testing.hub_folders import WEIGHTS as HUB_WEIGHTS
from adaptlint.testing.hub_folders import write_hub_adapter
from adaptlint.testing.mutations import FILE_EDITS, TENSOR_EDITS
from adaptlint.testing.writing import FILLS, ITEM_BYTES, Entry, expand, write_safetensors, write_shards

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
UNSET = "<unset>"
UNNAMED = "default"
SMALL_FILE = 1 << 20  # bytes of tensors; smaller adapters get random values unless they say otherwise
SPEC_FIELDS = {"name", "shape", "modules", "rank", "in", "out", "kernel", "kind", "dora", "bias", "dtype", "values"}

# What peft 0.21.2 writes for LoraConfig(target_modules=[...]), measured by saving one.
LORA_CONFIG: dict[str, Any] = {
    "alora_invocation_tokens": None,
    "alpha_pattern": {},
    "arrow_config": None,
    "auto_mapping": None,
    "base_model_name_or_path": None,
    "bias": "none",
    "corda_config": None,
    "ensure_weight_tying": False,
    "eva_config": None,
    "exclude_modules": None,
    "fan_in_fan_out": False,
    "inference_mode": True,
    "init_lora_weights": True,
    "kasa_config": None,
    "layer_replication": None,
    "layers_pattern": None,
    "layers_to_transform": None,
    "loftq_config": {},
    "lora_alpha": 8,
    "lora_bias": False,
    "lora_dropout": 0.0,
    "lora_ga_config": None,
    "megatron_config": None,
    "megatron_core": "megatron.core",
    "modules_to_save": None,
    "monteclora_config": None,
    "peft_type": "LORA",
    "peft_version": "0.21.2",
    "qalora_group_size": 16,
    "r": 8,
    "rank_pattern": {},
    "revision": None,
    "target_modules": None,
    "target_parameters": None,
    "task_type": None,
    "trainable_token_indices": None,
    "use_bdlora": None,
    "use_dora": False,
    "use_qalora": False,
    "use_rslora": False,
    "velora_config": None,
}


class RecipeError(ValueError):
    """The recipe itself is wrong: an unknown field, kind, dtype or base."""


class Recipe(NamedTuple):
    """A parsed recipe; the fields are the top-level keys of the format."""

    base: str | Mapping[str, Any] | None = None
    config: Mapping[str, Any] = {}
    tensors: tuple[Mapping[str, Any], ...] = ()
    mutate: tuple[Mapping[str, Any], ...] = ()
    check: Mapping[str, Any] = {}
    expect: Mapping[str, Any] = {}
    metadata: Mapping[str, str] | None = None
    values: str | None = None
    seed: int = 0
    saved_by: str = ""  # the release whose fields the config has; default: the newest
    without: tuple[str, ...] = ()  # modules that are not installed while this recipe is checked
    adapter: str = ""  # the file or folder in the adapter's folder that is given as ADAPTER; default: the folder
    name: str = ""  # the adapter's name, where others are loaded beside it
    others: Mapping[
        str, Mapping[str, Any]
    ] = {}  # further adapters by name, each with config, tensors, mutate; empty: as the first
    hub: Mapping[str, Any] = {}  # an AdapterHub adapter instead: its config's fields, weights, head
    chapters: Mapping[str, Mapping[str, Any]] = {}  # a story's checks by name: what each changes in `check`
    beside: Mapping[str, Mapping[str, Any]] = {}  # folders beside the adapter's that nobody gives; tables as in others


class Built(NamedTuple):
    """What a recipe became on disk: the MODEL and ADAPTER arguments of a check, and (name, ADAPTER) of further ones."""

    model: str
    adapter: str
    name: str = ""
    others: tuple[tuple[str, str], ...] = ()

    @property
    def adapters(self) -> str | list[tuple[str, str]]:
        """What a check is given: the one adapter, or all of them with their names, in load order."""
        named = self.others or self.name != UNNAMED
        return [(self.name, self.adapter), *self.others] if named else self.adapter


def read_recipe(source: str | Mapping[str, Any]) -> Recipe:
    """Parse TOML text, or take a table that is parsed already. RecipeError for anything unknown in it."""
    try:
        table = tomllib.loads(source) if isinstance(source, str) else source
    except tomllib.TOMLDecodeError as problem:
        raise RecipeError(f"not TOML: {problem}") from problem
    unknown = set(table) - set(Recipe._fields)
    if unknown:
        raise RecipeError(f"unknown recipe fields: {', '.join(sorted(unknown))}")
    fields: dict[str, Any] = {
        name: tuple(value) if name in ("tensors", "mutate", "without") else value for name, value in table.items()
    }
    return Recipe(**fields)


def tensor_entries(spec: Mapping[str, Any]) -> list[Entry]:
    """The tensors of one spec: named ones with their shape, or the LoRA pairs of the modules that it lists."""
    if set(spec) - SPEC_FIELDS:
        raise RecipeError(f"unknown tensor fields: {', '.join(sorted(set(spec) - SPEC_FIELDS))}")
    dtype, values = spec.get("dtype", "F32"), spec.get("values", "")
    if dtype not in ITEM_BYTES or values not in ("", *FILLS):
        raise RecipeError(f"unknown dtype or values: {dtype}, {values}")
    if "name" in spec:
        return [Entry(name, dtype, tuple(spec["shape"]), values) for name in expand(spec["name"])]
    modules = [spec["modules"]] if isinstance(spec["modules"], str) else spec["modules"]
    return [
        Entry(f"{PEFT_PREFIX}{path}.{suffix}", dtype, shape, values)
        for template in modules
        for path in expand(template)
        for suffix, shape in pair_shapes(spec)
    ]


def pair_shapes(spec: Mapping[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    """Suffix and shape of every tensor that LoRA keeps for one module; in and out are the module's own sizes."""
    kind, rank, wide, high = spec.get("kind", "linear"), spec["rank"], spec["in"], spec["out"]
    rows: list[tuple[str, tuple[int, ...]]]
    if kind == "linear":
        rows = [("lora_A.weight", (rank, wide)), ("lora_B.weight", (high, rank))]
    elif kind == "embedding":
        rows = [("lora_embedding_A", (rank, wide)), ("lora_embedding_B", (high, rank))]
    elif kind == "conv":
        kernel = tuple(spec["kernel"])
        ones = (1,) * len(kernel)
        rows = [("lora_A.weight", (rank, wide, *kernel)), ("lora_B.weight", (high, rank, *ones))]
    else:
        raise RecipeError(f"unknown kind: {kind} (linear, embedding, conv)")
    if spec.get("bias"):
        rows.append(("lora_B.bias", (high,)))
    if spec.get("dora"):
        rows.append(("lora_magnitude_vector", (high,) if kind != "conv" else (1, high, *ones)))
    return rows


def filled(entries: list[Entry], values: str | None) -> list[Entry]:
    """Entries that say nothing of their values get the recipe's: random where the file is small, else a hole."""
    usual = values or ("random" if sum(entry.size for entry in entries) <= SMALL_FILE else "sparse")
    return [entry if entry.values else entry._replace(values=usual) for entry in entries]


def with_settings(table: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A config with some fields set, or taken out where the value is "<unset>"; TOML has no null: "<null>"."""
    merged = {**table, **settings}
    return {key: None if value == "<null>" else value for key, value in merged.items() if value != UNSET}


def fields_of(release: str, peft_type: str) -> dict[str, Any]:
    """The config as a release of PEFT writes it: without the fields that came later. The newest for ""."""
    since: Mapping[str, str] = tables.load()[RELEASES]["fields"]
    at, fields = parse_version(release), LORA_CONFIG
    if peft_type != "LORA" and has_method(peft_type):
        card = (load_method(peft_type, at) if release else load_method(peft_type)).config
        since = {**since, **card.get("since", {})}
        fields = {**dict.fromkeys(card["none"]), **card["defaults"], "peft_version": LORA_CONFIG["peft_version"]}
    if not release:
        return fields
    return {name: value for name, value in fields.items() if parse_version(since.get(name, "0")) <= at}


def write_json(path: str, table: Mapping[str, Any]) -> None:
    """JSON as the libraries write it: two spaces, sorted keys."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(table, file, indent=2, sort_keys=True)
        file.write("\n")


def write_adapter(recipe: Recipe, folder: str) -> str:
    """Write the recipe's adapter folder and return its path."""
    os.makedirs(folder)
    entries = [entry for spec in recipe.tensors for entry in tensor_entries(spec)]
    files: list[Mapping[str, Any]] = []
    for edit in recipe.mutate:
        if edit.get("op") in TENSOR_EDITS:
            entries = TENSOR_EDITS[edit["op"]](entries, edit)
        elif edit.get("op") in FILE_EDITS:
            files.append(edit)
        else:
            raise RecipeError(f"unknown mutation: {edit.get('op')}")
    rows = filled(entries, recipe.values)
    if recipe.hub:
        write_hub_adapter(folder, recipe.hub, rows, recipe.seed)
    else:
        fields = fields_of(recipe.saved_by, recipe.config.get("peft_type", "LORA"))
        write_json(os.path.join(folder, CONFIG_FILE), with_settings(fields, recipe.config))
        write_safetensors(os.path.join(folder, WEIGHTS_FILE), rows, recipe.metadata, recipe.seed)
    for edit in files:
        usual = HUB_WEIGHTS if recipe.hub else WEIGHTS_FILE
        FILE_EDITS[edit["op"]](os.path.join(folder, edit.get("file", usual)), edit)
    return folder


def base_path(name: str, bases: str) -> str:
    """The base called `name` in the folder `bases`: a model folder, or a shape lock with or without its suffix."""
    for candidate in (name, f"{name}.lock.json", f"{name}.json"):
        path = os.path.join(bases, candidate)
        if os.path.exists(path):
            return path
    raise RecipeError(f"no base {name!r} in {bases}")


def write_base(spec: Mapping[str, Any], bases: str, folder: str) -> str:
    """Write a base of the recipe's own and return the MODEL argument: the folder, or `model` in it.

    It is a known config with changes, headers if tensors are listed, a copy of a lock, raw `files`; then file edits.
    """
    unknown = set(spec) - {"from", "config", "tensors", "shards", "lock", "files", "mutate", "model"}
    if unknown:
        raise RecipeError(f"unknown base fields: {', '.join(sorted(unknown))}")
    os.makedirs(folder)
    config: dict[str, Any] = {}
    if "from" in spec:
        with open(os.path.join(base_path(spec["from"], bases), "config.json"), encoding="utf-8") as file:
            config = json.load(file)
    if config or "config" in spec:
        write_json(os.path.join(folder, "config.json"), with_settings(config, spec.get("config", {})))
    entries = [entry for part in spec.get("tensors", ()) for entry in tensor_entries(part)]
    if entries:
        write_shards(folder, filled(entries, "sparse"), spec.get("shards", 1))
    if "lock" in spec:
        shutil.copy(base_path(spec["lock"], bases), os.path.join(folder, os.path.basename(spec["lock"])))
    for name, text in spec.get("files", {}).items():
        FILE_EDITS["write"](os.path.join(folder, name), {"text": text})
    for edit in spec.get("mutate", ()):
        FILE_EDITS[edit["op"]](os.path.join(folder, edit["file"]), edit)
    return os.path.join(folder, spec["model"]) if "model" in spec else folder


def build(recipe: Recipe, folder: str, bases: str) -> Built:
    """Write the recipe below `folder` (replacing what an earlier build left there); `bases` holds the named bases."""
    for part in ("base", "adapter"):
        shutil.rmtree(os.path.join(folder, part), ignore_errors=True)
    if recipe.base is None:
        raise RecipeError("the recipe names no base")
    if isinstance(recipe.base, str):
        model = base_path(recipe.base, bases)
    else:
        model = write_base(recipe.base, bases, os.path.join(folder, "base"))
    written = write_adapter(recipe, os.path.join(folder, "adapter"))
    given = os.path.join(written, recipe.adapter) if recipe.adapter else written
    written_too = {}
    for name, table in {**recipe.others, **recipe.beside}.items():
        place = os.path.join(folder, name)
        shutil.rmtree(place, ignore_errors=True)
        own = table or {"hub": recipe.hub, "config": recipe.config, "tensors": recipe.tensors}
        written_too[name] = write_adapter(read_recipe({"saved_by": recipe.saved_by, **own}), place)
    return Built(model, given, recipe.name or UNNAMED, tuple((name, written_too[name]) for name in recipe.others))
