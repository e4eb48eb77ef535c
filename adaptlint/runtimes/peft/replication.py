"""`layer_replication`: PEFT clones base layers before it adapts them (tuners_utils.py, replicate_layers)."""

from __future__ import annotations

from adaptlint.bases import Module
from adaptlint.runtimes.peft.refusal import Refusal, as_python_does
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Wrapped


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

    def order() -> list[int]:
        return [list(range(len(layers)))[i] for start, end in settings["layer_replication"] for i in range(start, end)]

    sources = as_python_does(order, "config-value-impossible", at, "layer_replication")
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
