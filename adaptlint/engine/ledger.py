"""The ledger: every rule leaves a line, so that silence is never mistaken for health."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adaptlint.artefacts import Document, TensorFile
from adaptlint.bases import Base
from adaptlint.catalogue import Rule
from adaptlint.findings import Fault, Finding, LedgerLine
from adaptlint.graph import Scene
from adaptlint.graph.scene import weights_of
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes import Prediction

NEEDS = {
    "base": "the base's shapes are not known",
    "config": "no adapter config could be read",
    "injected": "the runtime stops before it puts the adapter into the model",
    "weights": "the runtime stops before it reads the tensors",
    "loaded": "the runtime stops before it copies the tensors",
    "conditions": "no backend, sizes or mask of a forward were asked about",
    "values": "tensor values were not asked for (--values)",
    "headers": "the base's own weights are not there",
    "combined": "no composition of PEFT's adapters was followed",
    "composed": "no forward with AdapterHub's adapters was followed",
    "live": "is about models in memory (adaptlint.check_live)",
    "ignores": "no findings are set aside by ignores",
    "hub": "no load by AdapterHub's library was followed",
}


class Crash(NamedTuple):
    """A rule of ours that raised."""

    type: str
    text: str


def checked_faults(rules: Sequence[Rule], scene: Scene, crashes: dict[str, Crash]) -> dict[str, list[Fault]]:
    """What the Python checks of the rules without a claim find; a crash of one leaves the others running."""
    from importlib import import_module

    found: dict[str, list[Fault]] = {}
    for rule in rules:
        if rule.claim or (rule.when and not any(a.given.get(f) for a in scene.adapters for f in rule.when)):
            continue
        try:
            module = import_module(f"adaptlint.checks.{rule.family}.{rule.name.replace('-', '_')}")
            found[rule.code] = list(module.check(scene))
        except Exception as problem:
            crashes[rule.code] = Crash(type(problem).__name__, str(problem))
    return found


def reached(predictions: Sequence[Prediction]) -> frozenset[str]:
    """How far the furthest prediction got: injected, weights, loaded."""
    return frozenset(phase for prediction in predictions for phase in prediction.reached)


def ledger_of(
    rules: Sequence[Rule],
    findings: Sequence[Finding],
    scene: Scene,
    phases: frozenset[str],
    crashes: Mapping[str, Crash],
) -> tuple[LedgerLine, ...]:
    """One line per selected rule, in code order."""
    fired = {finding.code for finding in findings}
    held = phases | _held(scene)
    sizes = _sizes(scene)
    lines = []
    for rule in rules:
        looked_at = sizes.get(rule.grain, 0)
        lacking = next((NEEDS[need] for need in rule.needs if need not in held), None)
        if rule.code in crashes:
            crash = crashes[rule.code]
            lines.append(LedgerLine(rule.code, "crashed", looked_at, f"{crash.type}: {crash.text}"))
        elif rule.code in fired:
            lines.append(LedgerLine(rule.code, "fired", looked_at))
        elif lacking is not None:
            lines.append(LedgerLine(rule.code, "not-run", 0, lacking))
        else:
            lines.append(LedgerLine(rule.code, "passed", looked_at))
    return tuple(lines)


def _held(scene: Scene) -> set[str]:
    held = {"base"} if isinstance(scene.base, Base) else set()
    if isinstance(scene.base, Base) and scene.base.headers is not None:
        held.add("headers")
    if any(isinstance(adapter.config, Document) for adapter in scene.adapters):
        held.add("config")
    if scene.values != "none":
        held.add("values")
    return held


def _sizes(scene: Scene) -> dict[str, int]:
    weights = [weights_of(adapter) for adapter in scene.adapters]
    return {
        "adapter": len(scene.adapters),
        "config": sum(isinstance(adapter.config, Document) for adapter in scene.adapters),
        "tensor": sum(len(file.tensors) for file in weights if isinstance(file, TensorFile)),
        "module": len(scene.base.modules) if isinstance(scene.base, Base) else 0,
        "base": int(isinstance(scene.base, Base)),
        "plan": 1,
    }
