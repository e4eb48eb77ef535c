"""What a loaded adapter does at every module that it adapts: rank, effective scale, and whether its tensors arrived."""

from __future__ import annotations

from adaptlint.findings import Fault
from adaptlint.graph import Scene
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.peft.plan import Step
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.release import Release
from adaptlint.runtimes.peft.run import Run
from adaptlint.runtimes.peft.trust import doubts_about, release_of, transformers_of
from adaptlint.runtimes.prediction import Request


class SiteRow(NamedTuple):
    """One adapted module. `arrived` of `own` tensors came from the file; `scale` is None where the method has none."""

    module: str
    rank: int
    scale: float | None
    arrived: int
    own: int


class Sites(NamedTuple):
    """All of them; `idle`: why nothing changes the output; `problem`: what stood in the way of a load."""

    rows: tuple[SiteRow, ...] = ()
    saved: tuple[str, ...] = ()
    overwritten: tuple[str, ...] = ()
    idle: Fault | None = None
    problem: str = ""

    @property
    def whole(self) -> int:
        """How many modules have all their tensors from the file."""
        return sum(row.arrived == row.own for row in self.rows)


def sites_of(scene: Scene, version: str | None, request: Request) -> Sites:
    """The first adapter of the scene, put into the base and loaded as `PeftModel.from_pretrained` does."""
    release = release_of(version)
    base = scene.known_base
    transformers = transformers_of(release, request, base)
    doubts = doubts_about(scene, release, transformers)
    if base is None or doubts:
        return Sites(problem=f"{doubts[0].reason}: {doubts[0].facts.get('problem', '')}".rstrip(": "))
    run = Run(scene, base, Release(release, transformers))
    name = scene.adapters[0].name
    try:
        run.do(Step("load", name))
    except Refusal as refusal:
        return _told(run, name, f"PEFT {release} raises {refusal.error.type}: {refusal.error.match}")
    except NotModelled as gap:
        return _told(run, name, str(gap.fault.facts.get("problem", gap.fault.reason)))
    return _told(run, name, "")


def _told(run: Run, name: str, problem: str) -> Sites:
    wrapped, result = run.wrapped, run.result
    arrived = result.arrived if result is not None else {}
    own: dict[str, list[bool]] = {}
    for key, origin in wrapped.keys(base=False).items():
        if origin.kind == "site" and origin.adapter == name and origin.module:
            own.setdefault(origin.module, []).append(key in arrived)
    rows = []
    for path in own:
        sites = [wrapped.sites[path]] if path in wrapped.sites else []
        applied = next(s.adapters[name] for s in (*sites, *wrapped.parameters.get(path, ())) if name in s.adapters)
        scaled = bool(run.loaded[name].method.scale) if name in run.loaded else False
        scale = applied.scale if scaled else None
        rows.append(SiteRow(path, applied.rank, scale, sum(own[path]), len(own[path])))
    saved = tuple(path for path, copies in wrapped.saved.items() if name in copies)
    lost = [fault for fault in run.faults if fault.reason == "base-overwritten"]
    overwritten = tuple(dict.fromkeys(str(fault.facts.get("key", fault.module)) for fault in lost))
    return Sites(tuple(rows), saved, overwritten, run.effects.get(name), problem)
