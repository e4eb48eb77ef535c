"""X-LoRA: LoRA experts that the config names by path, and a classifier that mixes them (PEFT 0.21.2, tuners/xlora)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise

from adaptlint.artefacts import TensorFile
from adaptlint.findings import Fact, Fault, Where
from adaptlint.graph import Adapter
from adaptlint.runtimes.peft.config_file import open_config
from adaptlint.runtimes.peft.method_config import check_types
from adaptlint.runtimes.peft.prompts import text_config
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.settings import Settings, parse_settings
from adaptlint.runtimes.peft.weights import open_weights
from adaptlint.runtimes.peft.wrapped import ROOT, Shape, Wrapped

INNER = f"{ROOT}lora_model.model."
CLASSIFIER = "internal_xlora_classifier.layers"
BESIDE_FACTORS = ("modules_to_save", "trainable_token_indices", "target_parameters", "layer_replication")
MIXED = ("Linear", "Conv1D", "Embedding", "Conv2d")  # convert_layers_to_xlora asks for these LoRA layers
DEFAULT_HIDDEN = 4096
MAX_DEPTH = 1000
MAGNITUDE = "lora_magnitude_vector"


def load_experts(wrapped: Wrapped, adapter: str, settings: Settings) -> list[Fault]:
    """`XLoraModel.__init__`: every expert is put into the model and loaded, then the classifier is made."""
    base = wrapped.base
    if not isinstance(base.resolved_config.get("use_cache", True), bool) or base.resolved_config.get("use_cache", True):
        facts: dict[str, Fact] = {"field": "use_cache"}
        match = "`use_cache` must be False"
        raise Refusal("ValueError", match, "base-uses-cache", at=settings.where("peft_type"), facts=facts)
    if wrapped.shared:
        raise _second(settings)
    wrapped.prefix = INNER
    experts = settings["adapters"] = {} if settings["adapters"] is None else settings["adapters"]
    if not isinstance(experts, dict) or any(not isinstance(path, str) for path in experts.values()):
        raise _unclear(settings, "with such adapters")
    known: list[Settings] = []
    faults: list[Fault] = []
    for number, path in enumerate(experts.values()):
        faults += _load_expert(wrapped, Adapter(str(number), _found(path, settings)), path, settings, known)
    wrapped.shared[adapter] = _classifier(wrapped, settings)
    check_types(settings)
    return [*faults, *_exchanged(settings), *_unmixed(wrapped, settings)]


def _second(settings: Settings) -> Refusal | NotModelled:
    """`BaseTuner.inject_adapter`, which a model of experts never comes to with its first adapter."""
    if not settings.release.variants_read:
        return _unclear(settings, "as a further adapter")
    match, at = "'XLoraConfig' object has no attribute 'target_modules'", settings.where("peft_type")
    return Refusal("AttributeError", match, "adapters-conflict", at=at, facts={"field": "peft_type"})


def _exchanged(settings: Settings) -> Iterator[Fault]:
    """Experts are loaded under their places and made active by their names; save_pretrained sorts the names as text.

    With the names 0 to 9 that is all the same. From 11 experts on "10" comes before "2", and the classifier's columns
    meet others than those that it was trained with.
    """
    experts = settings["adapters"]
    names = list(experts)
    if set(names) != {str(number) for number in range(len(names))}:
        return
    for column, name in enumerate(names):
        met = names[int(name)]
        if experts[met] != experts[str(column)]:
            facts: dict[str, Fact] = {"column": column, "expert": experts[str(column)][:200], "met": experts[met][:200]}
            yield Fault("experts-exchanged", at=settings.where("adapters"), facts=facts, decides=True)
            return


def _unmixed(wrapped: Wrapped, settings: Settings) -> Iterator[Fault]:
    """Values of the config that leave nothing of any expert, and experts that were trained and are not in the file."""
    for field in ("global_scaling_weight", "top_k_lora"):
        if settings[field] == 0:
            facts: dict[str, Fact] = {"field": field, "sites": len(wrapped.sites)}
            yield Fault("scale-is-zero", at=settings.where(field), facts=facts, decides=True)
    if settings["use_trainable_adapters"]:
        yield Fault("experts-trained-unsaved", at=settings.where("use_trainable_adapters"))


def _found(path: str, settings: Settings) -> str:
    """Where an expert lies: as a program sees it that runs here, else in the adapter's folder or beside it.

    A path that is nowhere may still be a repository of the hub, which is not asked.
    """
    folder = os.path.dirname(settings.file)
    places = [
        path,
        *(os.path.join(root, path) for root in (folder, os.path.dirname(folder)) if not os.path.isabs(path)),
    ]
    found = next((place for place in places if os.path.isdir(place)), None)
    if found is None and not path.startswith((".", "/", "~")) and path.count("/") < 2:
        raise _unclear(settings, f"with the expert {path[:200]}, which may be a repository")
    return found or path


def _load_expert(
    wrapped: Wrapped, expert: Adapter, path: str, settings: Settings, known: list[Settings]
) -> list[Fault]:
    """`_load_adapter_into_lora_model`: like a load of its own, but surplus keys raise and missing ones are not told."""
    from adaptlint.runtimes.peft.injection import inject

    try:
        own = parse_settings(open_config(expert), wrapped.release)
    except Refusal as refusal:
        if refusal.fault.reason != "adapter-config-missing":
            raise
        match = f"Can't find 'adapter_config.json' at '{path}'"
        at = settings.where("adapters")
        raise Refusal("ValueError", match, "adapter-config-missing", at=at, facts=dict(refusal.fault.facts)) from None
    if not own.is_lora or own["bias"] != "none" or any(own[field] for field in BESIDE_FACTORS):
        raise _unclear(settings, f"with an expert such as {path[:200]}")
    notes = inject(wrapped, expert.name, own, list(known), low_memory=False)
    known.append(own)
    file, odd = open_weights(expert.folder)
    return [*notes, *odd, *_copy_expert(wrapped, expert.name, own, file)]


def _copy_expert(wrapped: Wrapped, name: str, own: Settings, file: TensorFile) -> list[Fault]:
    wanted: dict[str, tuple[str, Shape]] = {}
    for path, site in wrapped.sites.items():
        for key, saved, shape in site.adapters[name].tensors if name in site.adapters else ():
            wanted[f"model.{path}.{saved}"] = (f"model.{path}.{key}", shape)
    renamed = {_renamed(key, own): key for key in file.tensors}
    for key, source in renamed.items():
        if key not in wanted and not _is_of_base(wrapped, key, file.tensors[source].shape, own):
            at = Where(file.path, (source,))
            surplus: dict[str, Fact] = {"key": source}
            raise Refusal("ValueError", "Got unexpected keys!", "expert-has-surplus-keys", at=at, facts=surplus)
    for key, (parameter, shape) in wanted.items():
        found = file.tensors[renamed[key]].shape if key in renamed else shape
        if found != shape:
            match = (
                f"size mismatch for {parameter}: copying a param with shape torch.Size({list(found)}) from checkpoint, "
                f"the shape in current model is torch.Size({list(shape)})."
            )
            facts: dict[str, Fact] = {
                "tensor": parameter,
                "saved": renamed[key],
                "checkpoint_shape": list(found),
                "model_shape": list(shape),
            }
            at = Where(file.path, (renamed[key],))
            raise Refusal("RuntimeError", match, "shape-disagrees", at=at, facts=facts)
    lost = [key for key in wanted if key not in renamed]
    facts = {"keys": lost, "expert": name}
    return [Fault("expert-lacks-tensors", at=Where(file.path), facts=facts, decides=True)] if lost else []


def _is_of_base(wrapped: Wrapped, key: str, shape: Shape, own: Settings) -> bool:
    """Whether a key is a parameter of the base, as of an embedding that was saved along: PEFT copies it there."""
    path, _, leaf = key.removeprefix("model.").rpartition(".")
    for module in wrapped.modules:
        if module.path + wrapped.infix(module.path) == path and leaf in module.params:
            if module.params[leaf] != shape:
                raise _unclear(own, f"with an expert whose {key} has another size than the base's")
            return True
    return False


def forward_faults(wrapped: Wrapped, settings: Settings) -> Iterator[Refusal]:
    """What the mixing layers and the classifier raise in a forward (xlora/layer.py, xlora/classifier.py)."""
    mixing = [site for site in wrapped.sites.values() if site.kind in MIXED]
    count, top = len(settings["adapters"]), settings["top_k_lora"]
    if mixing and type(top) is int and not 0 <= top <= count:
        yield _refuse("RuntimeError", "selected index k out of range", settings, "top_k_lora")
    for site in mixing:
        if any(saved == MAGNITUDE for applied in site.adapters.values() for _, saved, _ in applied.tensors):
            match = "X-LoRA currently does not support LoRA layers with DoRA"
            yield _refuse("ValueError", match, settings, "adapters", site.path)
            break
    hidden = text_config(wrapped.base).get("hidden_size")
    taken = DEFAULT_HIDDEN if settings["hidden_size"] is None else settings["hidden_size"]
    is_plain = not wrapped.base.resolved_config.get("is_encoder_decoder")
    if is_plain and isinstance(hidden, int) and hidden != taken:
        yield _refuse("RuntimeError", "mat1 and mat2 shapes cannot be multiplied", settings, "hidden_size")


def _refuse(type_name: str, match: str, settings: Settings, field: str, module: str = "") -> Refusal:
    at = settings.where(field)
    return Refusal(
        type_name, match, "config-value-impossible", at=at, module=module, facts={"field": field}, stage="forward"
    )


def _renamed(key: str, own: Settings) -> str:
    """The key cut from the left until it starts with one "model.", which then becomes two."""
    while not key.startswith("model.") or key.startswith("model.model."):
        head, dot, key = key.partition(".")
        if not dot:  # PEFT's own loop does not end here
            raise _unclear(own, f"as an expert whose keys have no 'model.', such as {head[:100]}")
    return f"model.{key}"


def _classifier(wrapped: Wrapped, settings: Settings) -> list[tuple[str, str, Shape]]:
    """`XLoraClassifier`: linear layers, with an activation and perhaps a dropout between them."""
    depth, size = settings["xlora_depth"], settings["xlora_size"]
    hidden = DEFAULT_HIDDEN if settings["hidden_size"] is None else settings["hidden_size"]
    if any(type(number) is not int for number in (depth, size, hidden)) or depth > MAX_DEPTH or min(size, hidden) < 1:
        raise _unclear(settings, "with such sizes")
    if depth <= 0:
        match, at = "X-LoRA depth must be strictly positive.", settings.where("xlora_depth")
        raise Refusal("ValueError", match, "config-value-impossible", at=at, facts={"field": "xlora_depth"})
    swapped = sum(site.kind in MIXED for site in wrapped.sites.values())
    classes = len(settings["adapters"]) * (swapped if settings["layerwise_scalings"] else 1)
    widths = [hidden, *[size] * (depth - 1), classes]
    step = 3 if settings["xlora_dropout_p"] > 0.0 else 2
    rows: list[tuple[str, str, Shape]] = []
    for index, (given, taken) in enumerate(pairwise(widths)):
        stem = f"{CLASSIFIER}.{index * step}"
        rows += [(f"{stem}.{name}", f"{stem}.{name}", shape) for name, shape in _linear(given, taken).items()]
    return rows


def _linear(given: int, taken: int) -> dict[str, Shape]:
    return {"weight": (taken, given), "bias": (taken,)}


def _unclear(settings: Settings, what: str) -> NotModelled:
    return NotModelled("method-not-modelled", at=settings.where("peft_type"), facts={"value": f"XLORA {what}"})
