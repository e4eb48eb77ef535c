"""What `adaptlint fix` can promise about another library's adapter: its matrices as PEFT's, tried on shapes."""

from __future__ import annotations

from collections.abc import Sequence

from adaptlint.artefacts import Malformed
from adaptlint.drafts.draft import Draft
from adaptlint.drafts.foreign import READERS, read_foreign
from adaptlint.findings import Fault
from adaptlint.graph import Adapter, Scene
from adaptlint.runtimes import Request, predict

FOREIGN = ("adapterhub-adapter", "mlx-adapter", "kohya-adapter")


def promised(faults: list[Fault], scene: Scene, request: Request, targets: Sequence[str]) -> list[Fault]:
    """The faults, with the safety of the conversion where it is exact and every target takes what it makes."""
    foreign = [fault for fault in faults if fault.reason in FOREIGN and not fault.repair]
    if not foreign or len(scene.adapters) != 1:
        return faults
    safety = _safety(scene, request, targets)
    return [fault._replace(repair=safety) if fault in foreign else fault for fault in faults]


def _safety(scene: Scene, request: Request, targets: Sequence[str]) -> str:
    (adapter,), base = scene.adapters, scene.known_base
    if base is None or isinstance(adapter.folder, Malformed) or not _readers(targets):
        return ""
    found = read_foreign(Draft(adapter.folder), base)
    if found is None or found.draft is None:
        return ""
    mended: Adapter = found.draft.adapter(adapter.name)
    trial = Scene(scene.model_ref, base, (mended,), scene.values, scene.task)
    verdicts = [predict(trial, request._replace(target=target)).verdict for target in targets]
    return found.safety if all(verdict.outcome == "works" for verdict in verdicts) else ""


def _readers(targets: Sequence[str]) -> bool:
    return {target.partition("==")[0] for target in targets} <= {*READERS}
