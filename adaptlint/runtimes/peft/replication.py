"""`layer_replication`: PEFT clones base layers before it adapts them (tuners_utils.py, replicate_layers)."""

from __future__ import annotations

from adaptlint.bases import Module
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal, as_python_does
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Wrapped

MAX_LAYERS = 2000  # of a stack that a config may ask for


def replicate_layers(wrapped: Wrapped, settings: Settings) -> None:
    """The ranges [[0, 4], [2, 5]] become layers 0-6; weights are shared with the layers they came from."""
    at = settings.where("layer_replication")
    container = _layers_container(wrapped)
    if container is None:
        match = "Could not locate the layers attribute in the model."
        raise Refusal("ValueError", match, "layers-not-found", at=at, facts={"field": "layer_replication"})
    below = container + "."
    layers: dict[int, list[Module]] = {}
    for module in wrapped.modules:
        if module.path.startswith(below):
            layers.setdefault(int(module.path[len(below) :].split(".")[0]), []).append(module)

    sources: list[int] = []

    def order() -> None:
        for start, end in settings["layer_replication"]:
            sources.extend(list(range(len(layers)))[i] for i in range(start, min(end, start + MAX_LAYERS)))
            if len(sources) >= MAX_LAYERS:
                raise NotModelled("replication-too-large", at=at, facts={"limit": MAX_LAYERS})

    as_python_does(order, "config-value-impossible", at, "layer_replication")
    cloned = [
        module._replace(path=f"{below}{index}{module.path[len(below) + len(str(source)) :]}")
        for index, source in enumerate(sources)
        for module in layers[source]
    ]
    modules: list[Module] = []
    for module in wrapped.modules:
        if not module.path.startswith(below):
            modules.append(module)
            if module.path == container:
                modules.extend(cloned)
    wrapped.replace_modules(modules)


def _layers_container(wrapped: Wrapped) -> str | None:
    stem = ""
    while stem + "model" in wrapped.by_path:
        stem += "model."
    if stem + "bert" in wrapped.by_path:
        stem += "bert."
    for name in ("layers", "encoder.layer", "h"):
        module = wrapped.by_path.get(stem + name)
        if module is not None:
            return module.path if module.kind == "ModuleList" else None
    return None
