"""The prediction head in an adapter's folder, and what becomes of it in a class with a head of its own.

Source: adapters 0.2.2 to 1.3.0, heads/model_mixin.py and model_mixin.py (`ModelWithHeadsAdaptersMixin.load_adapter`),
loading.py (`PredictionHeadLoader.load`, `filter_func`).
"""

from __future__ import annotations

from adaptlint.artefacts import Document, Folder, Malformed, TensorFile
from adaptlint.bases import Base
from adaptlint.findings import Fact, Fault, Where
from adaptlint.runtimes.adapters.hub_adapter import HEAD_CONFIG, HEADS, UNREADABLE
from adaptlint.runtimes.adapters.loading import mismatch_text
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal


def load_head(folder: Folder, base: Base, body: str) -> list[Fault]:
    """What there is to say about the head; Refusal where loading it raises. A class without a head looks for none."""
    names = [name for name in HEADS if name in folder.names]
    if not names or not body:
        return []
    config = folder.json(HEAD_CONFIG) if HEAD_CONFIG in folder.names else None
    at = Where(f"{folder.path}/{names[0]}")
    if not isinstance(config, Document) or not isinstance(config.value, dict):
        raise NotModelled("method-not-modelled", at=at, facts={"value": f"a head without a readable {HEAD_CONFIG}"})
    saved = config.value.get("model_class")
    if saved != base.model_class:
        facts: dict[str, Fact] = {"saved_class": str(saved), "class": str(base.model_class), "file": names[0]}
        return [Fault("hub-head-left", at=at, facts=facts)]
    if names[0] != HEADS[0]:
        raise Refusal("OSError", UNREADABLE, "hub-safetensors-not-asked-for", at=at)
    file = folder.tensors(names[0])
    if isinstance(file, Malformed):
        raise Refusal("OSError", UNREADABLE, file.reason, at=at, facts=file.facts)
    _compare(file, base, at)
    return []


def _compare(file: TensorFile, base: Base, at: Where) -> None:
    from adaptlint.findings import Mismatch

    parameters = base.parameters()
    for key, row in file.tensors.items():
        if key in parameters and parameters[key] != row.shape:
            clash = Mismatch(key, row.shape, parameters[key])
            facts: dict[str, Fact] = {
                "number": 1, "key": key, "file_shape": list(row.shape), "model_shape": list(parameters[key]),
                "saved_for": f"a head of {base.model_class}", "base": f"{base.model_class} of other sizes",
            }  # fmt: skip
            raise Refusal("RuntimeError", mismatch_text(clash), "hub-shape-disagrees", at=at, facts=facts)
