"""An AdapterHub adapter folder as its library opens it, and what to call what is in it.

Source: adapters 0.2.2 to 1.3.0, loading.py (`AdapterLoader.load`, `WeightsLoaderHelper.load_weights`), utils.py
(`resolve_adapter_path`, `WEIGHTS_NAME` and its neighbours).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from adaptlint.artefacts import Document, Folder, Malformed, TensorFile
from adaptlint.findings import Fact, Where
from adaptlint.graph import Adapter
from adaptlint.graph.scene import CONFIG
from adaptlint.hints import Any
from adaptlint.runtimes.adapters.parts import ConfigRefused, Part, parts
from adaptlint.runtimes.adapters.release import HubRelease
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.weights import refused_file

WEIGHTS = "pytorch_adapter.bin"
SAFE_WEIGHTS = "adapter.safetensors"
WEIGHT_NAMES = (WEIGHTS, SAFE_WEIGHTS)
HEADS = ("pytorch_model_head.bin", "model_head.safetensors")
HEAD_CONFIG = "head_config.json"
FUSION_CONFIG = "adapter_fusion_config.json"
VERSION = r"v?\d+(\.\d+)*([-_.]?(a|b|c|rc|alpha|beta|post|rev|r|dev)[-_.]?\d*)*(\+[a-z0-9.]+)?$"
MADE = "adapters."  # in front of the version in a config; adapter-transformers wrote it without
UNREADABLE = "Unable to load weights from pytorch checkpoint file. "


def is_hub_config(given: Mapping[str, object]) -> bool:
    """True for the object of an adapter_config.json that AdapterHub's library wrote."""
    return "peft_type" not in given and "config" in given and ("model_type" in given or "model_class" in given)


def hub_name(adapter: Adapter) -> str:
    """The name that the adapter is loaded as: the one it was given, else the one in its config."""
    name = adapter.given.get("name")
    return name if not adapter.named and isinstance(name, str) and name else adapter.name


def open_hub_config(adapter: Adapter) -> Mapping[str, Any]:
    """The object in adapter_config.json. Raises Refusal or NotModelled where the library does not get that far."""
    folder, config = adapter.folder, adapter.config
    if isinstance(folder, Malformed):
        text = f"Unable to load adapter {adapter.path} from any source."
        raise Refusal("OSError", text, "hub-files-missing", at=Where(adapter.path), facts={"found": [folder.reason]})
    if isinstance(config, Malformed) and config.reason not in ("missing-file", "not-a-regular-file"):
        raise in_own_words(refused_file(config))
    if config is None or isinstance(config, Malformed) or not weight_names(folder):
        text = "No file pytorch_adapter.bin or no file adapter_config.json found in directory"
        facts: dict[str, Fact] = {"found": sorted(folder.names)[:20] or ["nothing"]}
        if "peft_type" in adapter.given:
            facts["peft"] = "a folder that PEFT wrote"
        raise Refusal("OSError", text, "hub-files-missing", at=Where(adapter.path), facts=facts)
    if not isinstance(config.value, dict):
        raise NotModelled("method-not-modelled", at=Where(config.path), facts={"value": "a config that is no object"})
    if "config" not in config.value:
        at = Where(config.path)
        raise Refusal("KeyError", "config", "hub-config-refused", at=at, facts={"field": "config", "value": "nothing"})
    return config.value


def hub_parts(adapter: Adapter, whole: Mapping[str, Any], release: HubRelease) -> list[Part]:
    """The methods of the config in `whole`, the object in adapter_config.json.

    Raises Refusal where the library does not take it.
    """
    at = Where(os.path.join(adapter.path, CONFIG), ("config",))
    try:
        return parts(_with_mended_scale(whole, release), release.text)
    except ConfigRefused as refused:
        facts: dict[str, Fact] = {"field": refused.field, "value": _quoted(whole, refused.field)}
        raise Refusal(refused.error, refused.text, "hub-config-refused", at=at, facts=facts) from refused
    except (TypeError, KeyError, AttributeError, ValueError, RecursionError) as problem:
        raise NotModelled("method-not-modelled", at=at, facts={"value": "a config of another form"}) from problem


def _with_mended_scale(whole: Mapping[str, Any], release: HubRelease) -> Any:
    """The config; a LoRA of a release that did not read alpha gets alpha = r (`_fix_backward_compat`)."""
    config, made = whole["config"], whole.get("version", "")
    if not release.mends_alpha:
        return config
    if not isinstance(made, str):
        text = f"'{type(made).__name__}' object has no attribute 'startswith'"
        raise ConfigRefused("AttributeError", text, "version")
    if made.startswith(MADE) and not re.match(VERSION, made.removeprefix(MADE)):
        raise ConfigRefused("InvalidVersion", f"Invalid version: '{made.removeprefix(MADE)}'", "version")
    if not made.startswith(MADE) or HubRelease(made.removeprefix(MADE)).reads_alpha:
        return config
    if config.get("architecture") != "lora":
        return config
    for field in ("r", "alpha"):
        if field not in config:
            raise ConfigRefused("KeyError", field, field)
    return {**config, "alpha": config["r"]}


def _quoted(whole: Mapping[str, Any], field: str) -> str:
    config = whole["config"]
    holder = config if isinstance(config, Mapping) and field in config else whole
    return str(holder.get(field, "nothing"))[:80]


def weight_names(folder: Folder) -> list[str]:
    """The weight files of the folder, the one that is opened by default first."""
    return [name for name in WEIGHT_NAMES if name in folder.names]


def open_hub_weights(folder: Folder) -> TensorFile:
    """The file that `load_adapter` opens unless it is told to use safetensors."""
    if WEIGHTS not in folder.names:
        at = Where(os.path.join(folder.path, SAFE_WEIGHTS))
        raise Refusal("OSError", UNREADABLE, "hub-safetensors-not-asked-for", at=at)
    file = folder.tensors(WEIGHTS)
    if isinstance(file, Malformed):
        facts: dict[str, Fact] = {**refused_file(file).fault.facts, **_raised("OSError", UNREADABLE)}
        raise Refusal("OSError", UNREADABLE, file.reason, at=Where(file.path), facts=facts)
    return file


def in_own_words(problem: Refusal | NotModelled) -> Refusal | NotModelled:
    """What a broken file makes both libraries raise, told of this one."""
    if isinstance(problem, Refusal):
        told = _raised(problem.error.type, problem.error.match)
        problem.fault = problem.fault._replace(facts={**problem.fault.facts, **told})
    return problem


def _raised(error: str, text: str) -> dict[str, Fact]:
    return {"raises": f"AdapterHub raises {error}", "quoted": f": {text.strip()}" if text else ""}


def tensors_in(adapter: Adapter) -> int:
    """How many tensors the adapter's weight file has; 0 where none can be read."""
    if isinstance(adapter.folder, Malformed):
        return 0
    for name in weight_names(adapter.folder):
        file = adapter.folder.tensors(name)
        if isinstance(file, TensorFile):
            return len(file.tensors)
    return 0


def method_of(config: Any) -> tuple[str | None, int | None]:
    """The method of a config in AdapterHub's words, and its rank, bottleneck or length where it states one."""
    try:
        found = parts(config)
    except (ConfigRefused, TypeError, KeyError, AttributeError, ValueError):
        return None, None
    names = [_name(part, found) for part in found if part.kind != "invertible"]
    ranks = [part.config["r"] for part in found if part.kind in ("lora", "reft")]
    rank = ranks[0] if ranks and isinstance(ranks[0], int) else None
    if len(names) == 1:
        return names[0], rank
    return _union_name(found, names), rank


def _name(part: Part, found: Sequence[Part]) -> str:
    config = part.config
    if part.kind == "bottleneck":
        return _bottleneck_name(config, any(each.kind == "invertible" for each in found))
    if part.kind == "lora":
        return _lora_name(config)
    if part.kind == "reft":
        return "loreft" if config["orthogonality"] else "noreft"
    return {"prefix": "prefix_tuning_flat" if config.get("flat") else "prefix_tuning"}.get(part.kind, "prompt_tuning")


def _bottleneck_name(config: Mapping[str, Any], invertible: bool) -> str:
    both = config["mh_adapter"] and config["output_adapter"]
    if config["phm_layer"]:
        return "compacter" if both else "compacter++"
    name = "double_seq_bn" if both else "seq_bn"
    if config["is_parallel"]:
        name = "scaled_par_bn" if config["scaling"] == "learned" else "par_bn"
    return f"{name}_inv" if invertible else name


def _lora_name(config: Mapping[str, Any]) -> str:
    if config["architecture"] == "mtl_lora":
        return "mtl_lora"
    if config["composition_mode"] == "scale":
        return "ia3"
    shared = isinstance(config.get("vera_d"), float) or isinstance(config.get("vera_b"), float)
    dora = bool(config.get("use_dora"))
    return {(True, True): "dvora", (True, False): "vera", (False, True): "dora"}.get((shared, dora), "lora")


def _union_name(found: Sequence[Part], names: Sequence[str]) -> str:
    kinds = {part.kind for part in found if part.kind != "invertible"}
    if kinds == {"prefix", "bottleneck"} and any(part.config.get("is_parallel") for part in found):
        return "mam"
    if kinds == {"prefix", "bottleneck", "lora"} and all(part.config.get("use_gating") for part in found):
        return "unipelt"
    return f"union({', '.join(names)})"


def fusion_in(folder: Folder) -> tuple[str, list[str]] | None:
    """Name and members of the fusion layer in a folder (`AdapterFusionLoader.load`); None where it holds none."""
    config = folder.json(FUSION_CONFIG) if FUSION_CONFIG in folder.names else None
    given = config.value if isinstance(config, Document) else None
    name = given.get("name") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(name, str):
        return None
    members = given.get("adapter_names", name)  # releases before 1.1.0 have the members in the name only
    return name, members.split(",") if isinstance(members, str) else [str(member) for member in members]
