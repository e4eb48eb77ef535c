"""Fault + page = finding: faults are handed to the pages that claim them, folded, and given the page's voice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adaptlint import tables
from adaptlint.catalogue import Rule, problem_of
from adaptlint.engine.ledger import Crash
from adaptlint.engine.spots import Spots
from adaptlint.findings import Fact, Fault, Finding, fold_paths, number_ranges, path_shape
from adaptlint.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from adaptlint.engine.suppressing import Suppressions

SHOWN = 8  # folded paths, projections or keys that a message spells out
NEVER = "repair/never.toml"
PART = 200  # characters of one fact in a message


def findings_of(
    rules: Sequence[Rule],
    faults: Sequence[Fault],
    checked: Mapping[str, Sequence[Fault]],
    spots: Spots,
    crashes: dict[str, Crash],
    suppressions: Suppressions | None = None,
) -> tuple[Finding, ...]:
    """Findings in the order of rule code, adapter and first place; equal ones of several targets become one.

    Those that are set aside are among them; `suppressions` then knows which.
    """
    by_reason: dict[str, list[Fault]] = {}
    for fault in faults:
        by_reason.setdefault(fault.reason, []).append(fault)
    findings: dict[str, Finding] = {}
    for rule in rules:
        mine = [fault for reason in rule.claim for fault in by_reason.get(reason, ())]
        mine.extend(checked.get(rule.code, ()))
        if not mine:
            continue
        groups = folded(rule, mine)
        for group in groups if suppressions is None else suppressions.parted(rule, groups):
            try:
                finding = say(rule, group, spots)
            except (KeyError, IndexError, ValueError, TypeError, AttributeError) as problem:
                crashes[rule.code] = Crash(type(problem).__name__, str(problem))
                continue
            known = findings.get(finding.fingerprint)
            if known is not None:
                targets = tuple(dict.fromkeys((*known.targets, *finding.targets)))
                finding = known._replace(targets=targets, decides=known.decides or finding.decides)
            findings[finding.fingerprint] = finding
            if suppressions is not None:
                suppressions.note(rule, group, finding.fingerprint)
    return tuple(findings.values())


def folded(rule: Rule, faults: Sequence[Fault]) -> list[list[Fault]]:
    """Faults that the page tells together: equal in adapter, target and the facts that `fold` names."""
    if rule.fold is None:
        return [[fault] for fault in faults]
    groups: dict[tuple[str, ...], list[Fault]] = {}
    for fault in faults:
        key = (fault.adapter, fault.target, *(str(fault.facts.get(name)) for name in rule.fold))
        groups.setdefault(key, []).append(fault)
    return list(groups.values())


def say(rule: Rule, group: Sequence[Fault], spots: Spots) -> Finding:
    """The finding of one group of faults."""
    first = group[0]
    facts = gathered(group, rule.gather)
    words = {name: spoken(value) for name, value in facts.items()} | {"adapter": first.adapter, "target": first.target}
    problem = problem_of(first.reason, facts, words)
    if problem:
        words["problem"] = problem
    message = " ".join([rule.says, *rule.notes]).format_map(words)
    because = tuple((where, spots.place(where), note) for where, note in first.because)
    module = str(facts["modules"]) if first.module else ""
    return Finding(
        code=rule.code,
        name=rule.name,
        severity=rule.severity,
        consequence=rule.consequence,
        message=message,
        help=rule.help.format_map(words),
        adapter=first.adapter,
        module=module,
        targets=(first.target,) if first.target else (),
        where=first.at,
        place=spots.place(first.at),
        because=because,
        facts=facts,
        excerpt=spots.excerpt(first.at),
        fingerprint=fingerprint(rule, first, module),
        decides=any(fault.decides for fault in group),
        fix=repair_of(rule, group, words),
    )


def repair_of(rule: Rule, group: Sequence[Fault], words: Mapping[str, str]) -> tuple[str, str] | None:
    """Safety and summary of what `adaptlint fix` does about the faults.

    "display" and the page's help where it never does anything by itself, or cannot undo every one of them.
    """
    safeties = {fault.repair for fault in group}
    if not rule.fix or "" in safeties:
        by_hand = rule.fix or any(rule.code in row["codes"] for row in tables.load()[NEVER]["never"])
        return ("display", rule.help.format_map(words)) if by_hand else None
    return ("safe" if safeties == {"safe"} else "unsafe"), rule.fix.format_map(words)


def gathered(group: Sequence[Fault], names: Sequence[str] = ()) -> dict[str, Fact]:
    """Facts of the first fault, with what differs between the faults gathered: modules, layers, counts, names."""
    first = group[0]
    facts: dict[str, Fact] = dict(first.facts)
    modules = list(dict.fromkeys(fault.module for fault in group if fault.module))
    paths = fold_paths(modules)
    facts["count"] = len(group)
    facts["module"] = first.module
    facts["modules"] = listed(paths)
    facts["module_count"] = len(modules)
    facts["layers"] = number_ranges(n for m in modules for n in path_shape(m)[1][:1])
    for plural, name in (("projections", "projection"), ("tensors", "tensor"), *((name, name) for name in names)):
        values = dict.fromkeys(str(f.facts[name]) for f in group if f.facts.get(name))
        if values and (plural != name or len(values) > 1):
            facts[plural] = list(values)
    return facts


def listed(names: Sequence[str]) -> str:
    """Names in one line, the rest counted."""
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def spoken(value: Fact) -> str:
    """A fact as a message has it: numbers bracketed, names listed, long texts cut."""
    if isinstance(value, list):
        if all(isinstance(item, int) for item in value):
            return str(value)
        return listed([str(item)[:PART] for item in value])
    text = str(value)
    return text if len(text) <= PART * 4 else text[: PART * 4] + "..."


def fingerprint(rule: Rule, first: Fault, module: str) -> str:
    """Stable across runs, machines and targets: rule, adapter, modules, and the facts that fold."""
    import zlib

    names = rule.fold if rule.fold is not None else sorted(first.facts)
    parts = [rule.code, first.adapter, module, *(str(first.facts.get(name)) for name in names)]
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return f"{zlib.crc32(text):08x}{zlib.adler32(text[::-1]):08x}"
