"""The shape that each tensor of an adapter's file is wanted in by the parameter that it arrives at."""

from __future__ import annotations

from adaptlint.graph import Adapter, Scene
from adaptlint.runtimes.peft.plan import Step
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.release import Release
from adaptlint.runtimes.peft.run import Run
from adaptlint.runtimes.peft.trust import doubts_about, release_of, transformers_of
from adaptlint.runtimes.prediction import Request

Shape = tuple[int, ...]


def wanted_shapes(scene: Scene, adapter: Adapter, version: str | None, request: Request) -> dict[str, Shape]:
    """By the file's names, what PEFT's model has in that place when the adapter is loaded alone.

    Tensors that arrive nowhere, or that become one parameter together with others, are not in it; {} where the load
    ends before any tensor is looked at.
    """
    release = release_of(version)
    transformers = transformers_of(release, request, scene.known_base)
    if scene.known_base is None or doubts_about(scene, release, transformers):
        return {}
    run = Run(scene, scene.known_base, Release(release, transformers))
    try:
        run.do(Step("load", adapter.name))
    except (Refusal, NotModelled):
        if run.result is None:
            return {}
    result = run.result
    if result is None:
        return {}
    return {sources[0]: result.keys[key].shape for key, sources in result.arrived.items() if len(sources) == 1}
