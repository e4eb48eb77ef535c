"""A report about a model in memory, in the words of the same rules."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from time import perf_counter

from adaptlint.bases import BaseProblem
from adaptlint.catalogue import Rule, load_catalogue, select
from adaptlint.engine.claims import findings_of
from adaptlint.engine.ledger import Crash
from adaptlint.engine.spots import Spots
from adaptlint.findings import AdapterSubject, Finding, LedgerLine, Report, Subject
from adaptlint.graph import Scene
from adaptlint.hints import Any
from adaptlint.runtimes.peft.live import Live, look_at

REASONS = (
    "value-not-finite",
    "update-is-zero",
    "update-is-zero-in-part",
    "scale-is-zero",
    "live-adapter-without-layers",
    "live-adapter-not-set",
    "live-adapter-switched-off",
    "live-shapes-disagree",
    "live-checkpoint-without-input-gradients",
)
NOT_OF_MODELS = "is about files, and a model in memory was looked at"


def check_live(module: Any, *, select: Sequence[str] = (), ignore: Sequence[str] = ()) -> Report:
    """Say what is wrong with the PEFT adapters on a model in memory; nothing is run, moved or changed.

    `module` is a `PeftModel`, or a transformers model that adapters were loaded into (`load_adapter`). Looked at are
    the layers that hold adapter parameters: NaN and infinity, factors that are zero as before training, scales of
    zero, factors that fit neither each other nor their base layer, adapters that are not active, and adapters without
    any layer. The verdict is about a forward as the model stands; parameters on the meta device have no values, and
    then it is "unknown" where nothing else is wrong. `select` and `ignore` are codes of rules.

    Raises TypeError for a module without PEFT adapters.
    """
    if not isinstance(getattr(module, "peft_config", None), Mapping) or not hasattr(module, "named_modules"):
        raise TypeError(f"{type(module).__name__} has no adapters of PEFT; check_live is about PeftModel and the like")
    started = perf_counter()
    live = look_at(module, _release("peft"), _release("transformers"))
    return _report(module, live, select, ignore)._replace(phases=(("live", (perf_counter() - started) * 1000),))


def _report(module: Any, live: Live, chosen: Sequence[str], ignored: Sequence[str]) -> Report:
    from adaptlint import __version__

    rules = select(load_catalogue(), chosen, ignored)
    config = getattr(module, "config", None)
    name = type(module).__name__
    inner = getattr(module, "get_base_model", None)
    base = type(inner()).__name__ if inner is not None else name
    crashes: dict[str, Crash] = {}
    scene = Scene(name, BaseProblem("live-model"), ())
    findings = findings_of(rules, live.faults, {}, Spots(scene), crashes)
    adapters = tuple(
        AdapterSubject(adapter, "", "live", _method(settings), getattr(settings, "r", None), live.tensors[adapter])
        for adapter, settings in module.peft_config.items()
    )
    subject = Subject(base, getattr(config, "model_type", None), base, "live", adapters, ("peft",))
    why = tuple(finding.fingerprint for finding in findings if finding.decides)
    ledger = tuple(_line(rule, findings, crashes, sum(live.layers.values())) for rule in rules)
    return Report(__version__, subject, (live.verdict._replace(why=why),), findings, ledger, (), not adapters)


def _line(rule: Rule, findings: Sequence[Finding], crashes: Mapping[str, Crash], layers: int) -> LedgerLine:
    if rule.code in crashes:
        return LedgerLine(rule.code, "crashed", layers, f"{crashes[rule.code].type}: {crashes[rule.code].text}")
    if any(finding.code == rule.code for finding in findings):
        return LedgerLine(rule.code, "fired", layers)
    if set(REASONS) & set(rule.claim):
        return LedgerLine(rule.code, "passed", layers)
    return LedgerLine(rule.code, "not-run", 0, NOT_OF_MODELS)


def _method(settings: Any) -> str | None:
    method = getattr(settings, "peft_type", None)
    return None if method is None else str(getattr(method, "value", method))


def _release(library: str) -> str:
    return str(getattr(sys.modules.get(library), "__version__", ""))
