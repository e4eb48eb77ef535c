"""What becomes of every module of one adapter when PEFT loads it: which tensors arrive, fit, are missing or astray."""

from __future__ import annotations

from adaptlint.findings import SiteState
from adaptlint.graph import Adapter, Scene
from adaptlint.runtimes.peft.loading import Loaded
from adaptlint.runtimes.peft.plan import Step
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.release import Release
from adaptlint.runtimes.peft.run import Run
from adaptlint.runtimes.peft.trust import doubts_about, release_of, transformers_of
from adaptlint.runtimes.peft.wrapped import PREFIX
from adaptlint.runtimes.prediction import Request

OWN = ("site", "saved", "tokens")


def peft_states(scene: Scene, adapter: Adapter, version: str | None, request: Request) -> list[SiteState]:
    """The adapter loaded alone; empty where nothing is known of its modules in this base."""
    release = release_of(version)
    transformers = transformers_of(release, request, scene.known_base)
    alone = Scene(scene.model_ref, scene.base, (adapter,), scene.values, scene.task)
    if alone.known_base is None or doubts_about(alone, release, transformers):
        return []
    run = Run(alone, alone.known_base, Release(release, transformers))
    problem = ""
    try:
        run.do(Step("load", adapter.name))
    except (Refusal, NotModelled) as stopped:
        problem = str(stopped.fault.facts.get("problem", "")) or stopped.fault.reason.replace("-", " ")
    return _told(run, adapter.name, problem)


def _told(run: Run, name: str, problem: str) -> list[SiteState]:
    own: dict[str, list[str]] = {}
    for key, origin in run.wrapped.keys(base=False).items():
        if origin.kind in OWN and origin.adapter == name and origin.module:
            own.setdefault(origin.module, []).append(key)
    result = run.result
    if result is None:
        return [SiteState(name, module, "unchecked", problem) for module in own]
    states = [SiteState(name, module, *_state(keys, result)) for module, keys in own.items()]
    prefix = run.loaded[name].method.prefix if name in run.loaded else ""
    astray: dict[str, int] = {}
    for key in result.unexpected:
        module = module_in(key, prefix)
        astray[module] = astray.get(module, 0) + 1
    return states + [SiteState(name, module, "unexpected", _counted(number)) for module, number in astray.items()]


def _state(keys: list[str], result: Loaded) -> tuple[str, str]:
    sizes = {mismatch.key: mismatch for mismatch in result.mismatched}
    wrong = [sizes[key] for key in keys if key in sizes]
    if wrong:
        return "mismatched", f"{list(wrong[0].checkpoint_shape)} in the file, {list(wrong[0].model_shape)} in the model"
    arrived = sum(key in result.arrived for key in keys)
    if arrived < len(keys):
        return "missing", f"{arrived} of {len(keys)} tensors are in the file"
    return "healthy", ""


def _counted(number: int) -> str:
    return f"{number} tensor{'' if number == 1 else 's'} that no parameter takes"


def module_in(key: str, prefix: str) -> str:
    """The module that a tensor's key names, as far as it can be read from the key."""
    path = key.removeprefix(PREFIX)
    module = path.partition(f".{prefix}")[0] if prefix else path
    return module if module != path else path.rpartition(".")[0] or path
