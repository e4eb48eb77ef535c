"""What a load leaves open: names that PEFT looks for and does not find, tensors that it finds and does not take."""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.artefacts import TensorFile
from adaptlint.bases import Base
from adaptlint.graph import Scene
from adaptlint.graph.scene import weights_of
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.peft.plan import Step
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.release import Release
from adaptlint.runtimes.peft.run import Run
from adaptlint.runtimes.peft.trust import doubts_about, release_of, transformers_of
from adaptlint.runtimes.peft.wrapped import PREFIX
from adaptlint.runtimes.prediction import Request

Shape = tuple[int, ...]
ADAPTABLE = ("Linear", "Conv1D", "Embedding", "Conv1d", "Conv2d", "Conv3d")
FACTORS = ("lora_A.weight", "lora_B.weight", "lora_embedding_A", "lora_embedding_B")


class Unmet(NamedTuple):
    """`wanted`: names without a tensor, with their shapes (None: not known); `stray`: tensors of no use, with theirs.

    `certain` is false where the load stops before it is known what will be looked for: `wanted` are then the names
    that LoRA could have on this base.
    """

    wanted: Mapping[str, Shape | None]
    stray: Mapping[str, Shape]
    certain: bool


def unmet_of(scene: Scene, request: Request) -> Unmet | None:
    """What the first adapter's load leaves open in the release that `request` names; None where that is not known."""
    base, weights = scene.known_base, weights_of(scene.adapters[0])
    if base is None or not isinstance(weights, TensorFile):
        return None
    name, _, version = request.target.partition("==")
    release = release_of(version if name == "peft" else None)
    transformers = transformers_of(release, request, base)
    if doubts_about(scene, release, transformers):
        return None
    run = Run(scene, base, Release(release, transformers))
    adapter = scene.adapters[0].name
    try:
        run.do(Step("load", adapter))
    except (Refusal, NotModelled):
        if run.result is None:
            return _guessed(run, adapter, base, weights)
    return None if run.result is None else _left_open(run, adapter, weights)


def _left_open(run: Run, adapter: str, weights: TensorFile) -> Unmet:
    result = run.result
    if result is None:
        return Unmet({}, {}, True)
    used = {source for sources in result.arrived.values() for source in sources}
    own = {key: origin for key, origin in result.keys.items() if origin.adapter == adapter}
    wanted = {o.saved: o.shape for key, o in own.items() if o.kind in ("site", "saved") and key not in result.arrived}
    return Unmet(wanted, {name: row.shape for name, row in weights.tensors.items() if name not in used}, True)


def _guessed(run: Run, adapter: str, base: Base, weights: TensorFile) -> Unmet:
    """Before any tensor is copied: by name alone, of the sites that were made, else of all that could be."""
    keys = run.wrapped.keys(base=False)
    wanted: dict[str, Shape | None] = {
        origin.saved: origin.shape
        for origin in keys.values()
        if origin.adapter == adapter and origin.kind in ("site", "saved", "tokens")
    }
    certain = bool(wanted)
    if not certain:
        paths = [module.path for module in base.modules if module.kind in ADAPTABLE]
        wanted = {f"{PREFIX}{path}.{factor}": None for path in paths for factor in FACTORS}
    lost = {name: shape for name, shape in wanted.items() if name not in weights.tensors}
    return Unmet(lost, {n: row.shape for n, row in weights.tensors.items() if n not in wanted}, certain)
