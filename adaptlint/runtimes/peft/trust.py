"""When the model here may be believed: the release asked about, and how well the base is known."""

from __future__ import annotations

from adaptlint import tables
from adaptlint.bases import Base, BaseProblem
from adaptlint.findings import Fault, RaisedError, Where
from adaptlint.graph import Scene
from adaptlint.runtimes.peft.settings import PEFT
from adaptlint.runtimes.prediction import Request

FILE_ERRORS = ("SafetensorError", "UnpicklingError", "JSONDecodeError", "UnicodeDecodeError", "HFValidationError")


def release_of(version: str | None) -> str:
    """The release that the verdict is about: the one asked for, else the installed one, else the newest known."""
    if version:
        return version
    from adaptlint.bases import installed_versions

    newest: str = tables.load()[PEFT]["newest"]
    installed = installed_versions(["peft"]).get("peft")
    return installed if installed and is_modelled(installed) else newest


def is_modelled(release: str) -> bool:
    """True for releases of the minor version whose loader is modelled here."""
    newest: str = tables.load()[PEFT]["newest"]
    return release.split(".")[:2] == newest.split(".")[:2]


def unsure_of_base(base: Base, outcome: str, error: RaisedError | None) -> Fault | None:
    """Why a verdict does not hold on a base that is known by its weights' headers alone; None when it does.

    Headers have names and shapes, but no classes: a fit of all tensors and a clash of sizes are seen in them, while
    a module that seems to be missing may only have another name in the class than in the file.
    """
    sizes_clash = error is not None and error.match.startswith("size mismatch")
    if base.certain_kinds or outcome in ("works", "unknown") or sizes_clash or (error and error.type in FILE_ERRORS):
        return None
    problem = "the base is known by its weights' names alone, and the class may name its modules otherwise"
    return Fault("base-classes-not-known", at=Where(base.ref), facts={"problem": problem})


def doubts_about(scene: Scene, release: str, request: Request) -> list[Fault]:
    """Why no verdict can be given at all; empty when one can."""
    doubts: list[Fault] = []
    card = tables.load()[PEFT]
    if isinstance(scene.base, BaseProblem):
        return [Fault(scene.base.reason, at=scene.base.at, facts=scene.base.facts)]
    if not is_modelled(release):
        facts = {"asked": release, "known": str(card["newest"])}
        doubts.append(Fault("release-not-modelled", facts=facts))
    described = scene.base.made_with.get("transformers")
    asked = request.transformers
    if described and asked and described.split(".")[0] != asked.split(".")[0]:
        facts = {"asked": asked, "described": described, "source": scene.base.source}
        doubts.append(Fault("base-describes-other-release", facts=facts))
    return doubts
