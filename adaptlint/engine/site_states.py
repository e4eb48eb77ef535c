"""Module by module what a target makes of the adapters, for reports that draw it."""

from __future__ import annotations

from adaptlint.artefacts import Folder, TensorFile
from adaptlint.findings import SiteState, Verdict
from adaptlint.graph import Adapter, Scene
from adaptlint.runtimes import Request

ENDED = ("works", "wrong")


def states_of(scene: Scene, request: Request, verdict: Verdict) -> tuple[SiteState, ...]:
    """Every adapter's modules; those of a load that was not followed to its end are "unchecked"."""
    return tuple(state for adapter in scene.adapters for state in _states(scene, adapter, request, verdict))


def _states(scene: Scene, adapter: Adapter, request: Request, verdict: Verdict) -> list[SiteState]:
    name, _, version = request.target.partition("==")
    if name in ("peft", "transformers"):
        from adaptlint.runtimes.peft.site_states import peft_states

        found = peft_states(scene, adapter, version if name == "peft" and version else None, request)
        if found:
            return found
    return _from_the_file(adapter, verdict)


def _from_the_file(adapter: Adapter, verdict: Verdict) -> list[SiteState]:
    """The modules that the file's tensors name, judged by the keys that the verdict lists."""
    modules = _modules(adapter)
    if verdict.outcome not in ENDED:
        return [SiteState(adapter.name, module, "unchecked") for module in modules]
    wrong = [mismatch.key for mismatch in verdict.mismatched_keys]
    kinds = (("mismatched", wrong), ("unexpected", verdict.ignored), ("missing", verdict.left_at_init))
    states = []
    for module in modules:
        state = next((kind for kind, keys in kinds if any(f".{module}." in f".{key}." for key in keys)), "healthy")
        states.append(SiteState(adapter.name, module, state))
    return states


def _modules(adapter: Adapter) -> list[str]:
    from adaptlint.engine.inspecting import portrait_of
    from adaptlint.runtimes.adapters.hub_portrait import modules_in

    folder = adapter.folder
    found = portrait_of(folder) if isinstance(folder, Folder) else None
    if found is None or not isinstance(folder, Folder):
        return []
    if found.ranks:
        return list(found.ranks)
    opened = (folder.tensors(name) for name in found.files if name.endswith((".safetensors", ".bin")))
    return next((modules_in(file) for file in opened if isinstance(file, TensorFile)), [])
