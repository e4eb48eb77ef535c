"""What an adapter folder is if not one: misplaced, packed, another library's, half a model."""

from __future__ import annotations

import os

from adaptlint import tables
from adaptlint.artefacts import Document, Folder, Malformed, TensorFile, read_tensors
from adaptlint.artefacts.archives import container_of, names_in_zip
from adaptlint.artefacts.neighbours import above, below, has_file
from adaptlint.dialects.recognising import Evidence, Sighting, recognise
from adaptlint.dialects.words import Insight
from adaptlint.findings import Fact, Where
from adaptlint.graph import Adapter
from adaptlint.graph.scene import CONFIG, WEIGHTS, weights_of
from adaptlint.methods import PEFT_PREFIX

PEFT_FIELDS = "runtimes/peft/lora_config.toml"
NO_CONFIG = ("adapter-config-missing",)
NO_PEFT_TYPE = ("config-not-a-peft-config",)
NO_WEIGHTS = ("weights-missing",)
NOTHING_ARRIVES = ("no-tensor-arrives",)
ENDINGS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".npz", ".lora")
NO_ADAPTER = ("optimizer.", "scheduler.", "rng_state", "training_args", "scaler.")  # names that begin so
SHARDED = f"{WEIGHTS[0]}.index.json"
PACKED = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar", ".tar.xz", ".tar.zst")
MODEL_FILES = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json")
ABOUT_TENSORS = {
    "base-tensors-only": "base-tensors-only",
    "optimizer-state-in-weights": "optimizer-state-in-weights",
    "full-model": "base-tensors-only",
}
OPENED = 3  # tensor files whose names are asked for
ARCHIVES = 8  # archives that are looked into


def insight_of(adapter: Adapter) -> Insight | None:
    """What the adapter is; None where nothing more is known than the faults say."""
    folder = adapter.folder
    if isinstance(folder, Malformed):
        return _of_file(adapter.path) if folder.reason == "not-a-folder" else None
    config = adapter.config
    if config is None:
        return _without_config(folder)
    if not isinstance(config, Document):
        return None
    if "peft_type" not in adapter.given:
        return _of_other_config(folder, adapter.given, config)
    weights = weights_of(adapter)
    if weights is None:
        return _without_weights(folder)
    if isinstance(weights, Malformed):
        return _of_broken(weights)
    named = _of_tensors(weights) if adapter.given["peft_type"] == "LORA" else None  # others have names of their own
    return named or _beside_model(folder, weights)


def _of_file(path: str) -> Insight | None:
    """A file was given where a folder belongs."""
    name, folder = os.path.basename(path), os.path.dirname(path)
    container, facts = container_of(path), dict[str, Fact](file=name, path=folder)
    if name in (CONFIG, *WEIGHTS) and has_file(folder, CONFIG):
        return Insight("file-given-as-adapter", facts, NO_CONFIG, at=Where(path))
    if name.endswith(PACKED):
        return _archived(path)
    if container == "gguf":
        return _sighted(Sighting("gguf-file", name), NO_CONFIG, at=Where(path))
    tensors = read_tensors(path) if name.endswith(ENDINGS) else None
    names = tuple(tensors.tensors) if isinstance(tensors, TensorFile) else ()
    return _sighted(recognise(Evidence((name,), (), names)), NO_CONFIG, at=Where(path))


def _without_config(folder: Folder) -> Insight | None:
    inner = below(folder, CONFIG)
    if inner is not None:
        return Insight("adapter-one-level-down", {"path": inner, "folder": folder.path}, NO_CONFIG)
    packed = [name for name in folder.names if name.endswith(PACKED)][:ARCHIVES]
    insights = (_archived(os.path.join(folder.path, name)) for name in packed)
    archive = next((insight for insight in insights if insight is not None), None)
    if archive is not None:
        return archive
    sighting = recognise(Evidence(tuple(folder.names), (), _tensor_names(folder)))
    if sighting is not None:
        return _sighted(sighting, NO_CONFIG)
    outer = above(folder.path, CONFIG)
    if outer is not None:
        return Insight("adapter-one-level-up", {"path": outer, "folder": folder.path}, NO_CONFIG)
    return None


def _archived(path: str) -> Insight | None:
    """An archive, if it may hold an adapter: a zip is looked into, others are known by their first bytes."""
    container = container_of(path)
    if not container or container == "gguf":
        return None
    facts: dict[str, Fact] = {"archive": os.path.basename(path), "path": path, "inside": "it was not looked into"}
    if container == "zip":
        member = next((name for name in names_in_zip(path) if name.rpartition("/")[2] in (CONFIG, *WEIGHTS)), None)
        if member is None:
            return None
        facts["inside"] = f"it has {member}"
    return Insight("adapter-in-archive", facts, NO_CONFIG, at=Where(path))


def _of_other_config(folder: Folder, given: dict[str, object], config: Document) -> Insight | None:
    """An adapter_config.json that states no peft_type."""
    explains, at = NO_PEFT_TYPE, Where(config.path)
    sighting = recognise(Evidence(tuple(folder.names), given.keys(), ()))
    if sighting is not None:
        return _sighted(sighting, explains, at=Where(config.path, (sighting.key,)) if sighting.key else at)
    card = tables.load()[PEFT_FIELDS]
    if not given or any(key in card["none"] or key in card["defaults"] for key in given):
        return None
    return Insight("config-of-something-else", {"has": list(given)[:6]}, explains, at=at)


def _without_weights(folder: Folder) -> Insight | None:
    """A PEFT config without a file that PEFT opens beside it."""
    facts: dict[str, Fact]
    shards = [name for name in folder.names if name.startswith("adapter_model") and ("-of-" in name or "index" in name)]
    if shards:
        joined = folder.tensors(SHARDED) if SHARDED in folder.names else None
        whole = isinstance(joined, TensorFile) and bool(joined.tensors) and not joined.duplicates
        facts = {"shards": shards[:6], "number": len(shards)}
        return Insight("adapter-weights-sharded", facts, NO_WEIGHTS, repair="safe" if whole else "")
    found = _tensor_file(folder)
    if found is not None and any(PEFT_PREFIX in name and "lora_" in name for name in found.tensors):
        name = os.path.basename(found.path)
        ending = ".safetensors" if found.container == "safetensors" else ".bin"
        facts = {"file": name, "wanted": f"adapter_model{ending}", "tensors": len(found.tensors)}
        only = found.container == "safetensors" and sum(name.endswith(ENDINGS) for name in folder.names) == 1
        repair = "safe" if only and not found.duplicates else ""
        return Insight("weights-under-another-name", facts, NO_WEIGHTS, at=Where(found.path), repair=repair)
    names = tuple(found.tensors) if found is not None else ()
    sighting = recognise(Evidence(tuple(folder.names), (), names))
    if sighting is not None and sighting.reason == "full-model" and found is None:
        return None  # an adapter under a model's file name looks the same until its tensors are read
    return _sighted(sighting, NO_WEIGHTS)


def _of_broken(weights: Malformed) -> Insight | None:
    """Weights that cannot be read because they are in another format."""
    explains, at = (weights.reason,), Where(weights.path)
    container = container_of(weights.path)
    if container == "gguf":
        return _sighted(Sighting("gguf-file", os.path.basename(weights.path)), explains, at)
    archive = _archived(weights.path) if container == "zip" else None
    return None if archive is None else archive._replace(explains=explains)


def _of_tensors(weights: TensorFile) -> Insight | None:
    """PEFT's own files with tensors that are named otherwise."""
    sighting = recognise(Evidence((), (), tuple(weights.tensors)))
    if sighting is None:
        return None
    reason = ABOUT_TENSORS.get(sighting.reason, "keys-of-another-library")
    facts: dict[str, Fact] = {"fault": sighting.reason, "sign": sighting.sign, "tensors": len(weights.tensors)}
    unless = ("tensor-ignored", "tensor-missing", "base-overwritten")
    return Insight(reason, facts, NOTHING_ARRIVES, unless, at=Where(weights.path, (sighting.sign,)))


def _beside_model(folder: Folder, weights: TensorFile) -> Insight | None:
    """A whole model in the adapter's own folder."""
    model = next((name for name in MODEL_FILES if name in folder.names), None)
    if "config.json" not in folder.names or model is None:
        return None
    return Insight("adapter-beside-model", {"model": model, "weights": os.path.basename(weights.path)}, ())


def _sighted(sighting: Sighting | None, explains: tuple[str, ...], at: Where | None = None) -> Insight | None:
    if sighting is None:
        return None
    reason = "full-model" if sighting.reason == "base-tensors-only" else sighting.reason
    return Insight(reason, {"sign": sighting.sign}, explains, at=at)


def _tensor_names(folder: Folder) -> tuple[str, ...]:
    file = _tensor_file(folder)
    return tuple(file.tensors) if file is not None else ()


def _tensor_file(folder: Folder) -> TensorFile | None:
    """The first file of tensors that can be read, names with "adapter" or "lora" first; few are tried."""
    names = [name for name in folder.names if name.endswith(ENDINGS) and not name.startswith(NO_ADAPTER)]
    names.sort(key=lambda name: (not name.startswith(WEIGHTS), "adapter" not in name, "lora" not in name, name))
    files = (folder.tensors(name) for name in names[:OPENED])
    return next((file for file in files if isinstance(file, TensorFile)), None)
