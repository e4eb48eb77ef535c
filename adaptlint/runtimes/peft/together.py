"""Several active adapters: `model.base_model.set_adapter([a, b])`, which PEFT adds up in every layer.

Source: PEFT 0.21.2, BaseTuner.set_adapter and the forwards in tuners/*/layer.py, each method run with two adapters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adaptlint import tables
from adaptlint.findings import Fact, Fault
from adaptlint.runtimes.peft.activation import activate
from adaptlint.runtimes.peft.plan import Step
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.run import Run
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Site

TABLE = "runtimes/peft/composed.toml"


def set_active(run: Run, names: Sequence[str]) -> list[Fault]:
    """Activate the adapters, in this order; what the layers then compute otherwise than all of them together."""
    if len(names) == 1:
        run.do(Step("set", names[0]))
        return []
    known = [name for name in names if name in run.loaded]
    faults = list(_unknown(run, names))
    if not known:
        return faults
    settings = run.loaded[known[0]]
    _check_method(run, settings, names)
    _check_copies(run, known)
    faults += _layers(run, settings, known)
    activate(run.wrapped, Step("set", known[0]))
    return faults


def _unknown(run: Run, names: Sequence[str]) -> Iterator[Fault]:
    """A list of names is not looked through, as a single name is."""
    for name in dict.fromkeys(names):
        if name not in run.loaded:
            facts: dict[str, Fact] = {"name": name, "instead": "the others are active without it"}
            yield Fault("adapter-name-passed-over", facts=facts, decides=True)


def _check_method(run: Run, settings: Settings, names: Sequence[str]) -> None:
    """Refusal for methods of which one adapter is active at a time; NotModelled for what was not read."""
    card, method, release = tables.load()[TABLE], settings.method, run.wrapped.release
    told = ", ".join(names)[:200]
    if method.peft_type in card["active"]["unread"] or (not settings.is_lora and not release.variants_read):
        problem = f"several active adapters of {method.peft_type} in this release"
        raise NotModelled("composition-not-told", facts={"composition": told, "problem": problem})
    if settings.is_lora and any(run.loaded[n]["alora_invocation_tokens"] is not None for n in names if n in run.loaded):
        problem = "several active adapters of which one has invocation tokens"
        raise NotModelled("composition-not-told", facts={"composition": told, "problem": problem})
    if method.peft_type == "MISS" and settings["init_weights"] == "bat":
        problem = "updates that are made of the weights, which those before have changed"
        raise NotModelled("composition-not-told", facts={"composition": told, "problem": problem})
    for row in card["one_at_a_time"]:
        if method.peft_type in row["methods"]:
            match = row["match"].format(count=len(names))
            raise _refuse(
                row["type"], match, "method-takes-one-adapter", "", {"method": method.peft_type}, row["stage"]
            )


def _check_copies(run: Run, known: Sequence[str]) -> None:
    """Modules of modules_to_save, and trained tokens, of more than one of them (AuxiliaryTrainingWrapper)."""
    wrapped = run.wrapped
    if not wrapped.release.sets_saved_with_layers and (wrapped.saved or wrapped.tokens):
        facts: dict[str, Fact] = {"composition": ", ".join(known), "problem": "modules_to_save in this release"}
        raise NotModelled("composition-not-told", facts=facts)
    for kind, table in (("ModulesToSaveWrapper", wrapped.saved), ("TrainableTokensWrapper", wrapped.tokens)):
        for path, owners in table.items():
            own = [name for name in dict.fromkeys(known) if name in owners]
            if len(own) > 1:
                match = f"Only one adapter can be set at a time for {kind}("
                raise _refuse("ValueError", match, "saved-module-of-several", path, {"names": own}, "set")


def _layers(run: Run, settings: Settings, known: Sequence[str]) -> Iterator[Fault]:
    """What the layers make of it, and the note that it is no stack."""
    card, method = tables.load()[TABLE]["active"], settings.method.peft_type
    together = [site for site in run.wrapped.sites.values() if sum(name in site.adapters for name in known) > 1]
    if not together:
        return
    if method in card["first_alone"]:
        for name in known[1:]:
            facts: dict[str, Fact] = {"name": name, "method": method, "first": known[0]}
            yield Fault("first-active-alone", adapter=name, module=together[0].path, facts=facts, decides=True)
        return
    if method in card["fed_on"]:
        yield _fed_on(run, together, known)
        return
    if settings.is_lora:
        scaled = list(_scaled_with(run, together, known))
        yield from scaled
        if scaled:
            return
    how = "one after the other scales or rotates what a layer gives" if method in card["in_turn"] else "are added"
    what = {"names": ", ".join(known), "how": how}
    reason = "active-adapters-in-turn" if method in card["in_turn"] else "active-adapters-added"
    yield Fault(reason, facts=what)


def _fed_on(run: Run, together: Sequence[Site], known: Sequence[str]) -> Fault:
    """C3A's forward takes what one adapter gave as the next one's input."""
    oblong = [site for site in together if len(set(run.wrapped.by_path[site.path].params.get("weight", ()))) > 1]
    facts: dict[str, Fact] = {"names": ", ".join(known)}
    if oblong:
        raise _refuse("RuntimeError", "is invalid for input of size", "next-fed-on-output", oblong[0].path, facts)
    return Fault("next-fed-on-output-silently", module=together[0].path, facts=facts, decides=True)


def _scaled_with(run: Run, together: Sequence[Site], known: Sequence[str]) -> Iterator[Fault]:
    """DoRA scales all that the layer gave so far, the updates of those before it too."""
    for site in together:
        here = [name for name in known if name in site.adapters]
        later = next((name for name in here[1:] if run.loaded[name]["use_dora"]), None)
        if later is not None:
            facts: dict[str, Fact] = {"name": later, "first": here[0]}
            yield Fault("magnitude-scales-others", adapter=later, module=site.path, facts=facts, decides=True)
            return


def _refuse(
    type_name: str, match: str, reason: str, module: str, facts: dict[str, Fact], stage: str = "forward"
) -> Refusal:
    return Refusal(type_name, match, reason, module=module, facts=facts, stage=stage)
