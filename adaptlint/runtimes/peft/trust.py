"""When the model here may be believed: the release asked about, and how well the base is known."""

from __future__ import annotations

from adaptlint import tables
from adaptlint.bases import Base, BaseProblem
from adaptlint.findings import Fault, RaisedError, Where
from adaptlint.graph import Scene
from adaptlint.runtimes.peft.release import (
    PEFT,
    RELEASES,
    Release,
    is_modelled,
    parse_version,
    transformers_of_its_time,
)
from adaptlint.runtimes.prediction import Request

FILE_ERRORS = ("SafetensorError", "UnpicklingError", "JSONDecodeError", "UnicodeDecodeError", "HFValidationError")
STEADY = "runtimes/peft/steady_bases.toml"


def release_of(version: str | None) -> str:
    """The release that the verdict is about: the one asked for, else the installed one, else the newest known."""
    if version:
        return version
    from adaptlint.bases import installed_versions

    newest: str = tables.load()[PEFT]["newest"]
    installed = installed_versions(["peft"]).get("peft")
    return installed if installed and is_modelled(installed) else newest


def transformers_of(release: str, request: Request, base: Base | None) -> str:
    """The transformers of the verdict: the one asked for, that of an old release's time, that of the base's table."""
    described = base.made_with.get("transformers") if base else None
    asked = request.transformers or transformers_of_its_time(release)
    newest: str = tables.load()[PEFT]["newest_transformers"]
    return asked or described or newest


def unsure_of_base(base: Base, outcome: str, error: RaisedError | None, release: Release) -> Fault | None:
    """Why a verdict does not hold on a base that is known by its weights' headers alone; None when it does.

    Headers have names and shapes, but no classes: a fit of all tensors and a clash of sizes are seen in them, while
    a module that seems to be missing may only have another name in the class than in the file. And what a base's own
    forward raises is known of the newest transformers only.
    """
    if outcome in ("works", "wrong") and release.transformers < (5,):
        rows = tables.load()[PEFT]["forward_fault"]
        if any(base.model_class in row.get("classes", ()) for row in rows):
            problem = f"the forward of {base.model_class} in this release of transformers"
            return Fault("release-not-modelled", at=Where(base.ref), facts={"problem": problem})
    sizes_clash = error is not None and error.match.startswith("size mismatch")
    if base.certain_kinds or outcome in ("works", "unknown") or sizes_clash or (error and error.type in FILE_ERRORS):
        return None
    problem = "the base is known by its weights' names alone, and the class may name its modules otherwise"
    return Fault("base-classes-not-known", at=Where(base.ref), facts={"problem": problem})


def doubts_about(scene: Scene, release: str, transformers: str) -> list[Fault]:
    """Why no verdict can be given at all; empty when one can. `transformers`: what the question is about."""
    if isinstance(scene.base, BaseProblem):
        return [Fault(scene.base.reason, at=scene.base.at, facts=scene.base.facts)]
    card = tables.load()[PEFT]
    if not is_modelled(release):
        known = f"{tables.load()[RELEASES]['oldest']} to {card['newest']}"
        facts = {"asked": release, "known": known, "problem": f"release {release} of peft ({known} are)"}
        return [Fault("release-not-modelled", facts=facts)]
    alone = transformers_of_its_time(release)
    if alone and parse_version(transformers) >= (5,):
        problem = f"peft {release} with transformers {transformers}: releases of its time are 4.x, such as {alone}"
        return [Fault("release-not-modelled", facts={"asked": release, "problem": problem})]
    described = scene.base.made_with.get("transformers")
    if described and not _same_table(scene, scene.base, described, transformers):
        facts = {"asked": transformers, "described": described, "source": scene.base.source}
        return [Fault("base-describes-other-release", facts=facts)]
    return []


def _same_table(scene: Scene, base: Base, described: str, asked: str) -> bool:
    """True within one major release, and for modules that are the same in both: all, or those that are named."""
    here, there = parse_version(described), parse_version(asked)
    if here[:1] == there[:1]:
        return True
    card, older = tables.load()[STEADY], min(here, there)
    steady = card["since"].get(base.model_type or "") or card["classes"].get(base.model_class)
    if steady is not None and parse_version(steady) <= older:
        return True
    for row in card["besides"]:
        if base.model_class in row["classes"] and parse_version(row["since"]) <= older:
            from adaptlint.runtimes.peft.named_modules import keeps_away_from

            return all(keeps_away_from(a, row["names"], base.model_type or "") for a in scene.adapters)
    return False
