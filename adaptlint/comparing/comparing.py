"""From two arguments to a comparison."""

from __future__ import annotations

from adaptlint.artefacts import Malformed, open_folder
from adaptlint.bases import Base, BaseProblem, load_base
from adaptlint.comparing import adapters, bases
from adaptlint.comparing.words import LOADS, RETRAIN, UNKNOWN, Comparison, Difference, in_order, listed
from adaptlint.drafts.words import RepairError
from adaptlint.engine import check
from adaptlint.findings import Verdict
from adaptlint.runtimes.peft.mending import adapted_modules

NUMBERS = "the numbers in the weights of the bases"
WORTH = {"works": 2, "wrong": 1, "fails": 0}


class TwoKinds(Exception):
    """One of the two is an adapter and the other is not."""


def compare(
    old: str, new: str, *, adapter: str | None = None, base: str | None = None, offline: bool = True
) -> Comparison:
    """Hold NEW against OLD: two adapters (on `base`, if given), or two bases (as `adapter` sees them, if given).

    Raises TwoKinds.
    """
    kinds = [adapters.is_adapter(path) for path in (old, new)]
    if kinds[0] != kinds[1]:
        raise TwoKinds(f"{old if kinds[0] else new} is an adapter, {new if kinds[0] else old} is not")
    if kinds[0]:
        return _two_adapters(old, new, base, offline)
    return _two_bases(old, new, adapter, offline)


def _two_adapters(old: str, new: str, base: str | None, offline: bool) -> Comparison:
    blank = Comparison("adapters", old, new)
    settings, tensors = [], []
    for path in (old, new):
        folder = open_folder(path)
        if isinstance(folder, Malformed):
            return blank._replace(problem=f"{path}: {folder.reason.replace('-', ' ')}")
        given, pieces = adapters.settings_of(folder), adapters.tensors_of(folder)
        if given is None or pieces is None:
            lacking = "adapter_config.json is none of PEFT's" if given is None else "the tensors cannot be read"
            return blank._replace(problem=f"{path}: {lacking}; `adaptlint inspect` says what it is")
        settings.append(given)
        tensors.append(pieces)
    try:
        found = adapters.tensor_differences(tensors[0], tensors[1])
    except RepairError as problem:
        return blank._replace(problem=str(problem))
    found += adapters.config_differences(settings[0], settings[1], (tensors[0], tensors[1]))
    skipped: list[str] = ["what a base makes of them (--base)"] if base is None else []
    if base is not None:
        found += _two_verdicts((base, old), (base, new), offline)
    return blank._replace(differences=in_order(found), not_compared=tuple(skipped))


def _two_bases(old: str, new: str, adapter: str | None, offline: bool) -> Comparison:
    blank = Comparison("bases", old, new)
    loaded = [load_base(path, offline=offline) for path in (old, new)]
    for path, base in zip((old, new), loaded, strict=True):
        if isinstance(base, BaseProblem):
            return blank._replace(problem=f"{path}: {base.reason.replace('-', ' ')}")
    one, other = loaded
    if not isinstance(one, Base) or not isinstance(other, Base):
        return blank
    only = None
    found: list[Difference] = []
    if adapter is not None:
        folder = open_folder(adapter)
        pieces = None if isinstance(folder, Malformed) else adapters.tensors_of(folder)
        if pieces is None:
            return blank._replace(problem=f"{adapter}: the tensors cannot be read")
        only = adapted_modules(pieces, "lora_")
        found += _two_verdicts((old, adapter), (new, adapter), offline)
    found += bases.module_differences(one, other, only)
    found += bases.config_differences(one, other)
    fields = bases.one_sided_fields(one, other)
    apart = (f"fields of the config that just one of them has ({listed(fields)})",) if fields else ()
    return blank._replace(differences=in_order(found), not_compared=(*apart, NUMBERS))


def _two_verdicts(one: tuple[str, str], other: tuple[str, str], offline: bool) -> list[Difference]:
    """What PEFT does with both, where that is not the same."""
    before, after = (check(model, adapter, offline=offline).verdicts[0] for model, adapter in (one, other))
    if "unknown" in (before.outcome, after.outcome):
        reason = "what PEFT does is not known for one of them"
        return [Difference(UNKNOWN, "verdict", f"peft {after.version}", _told(before), _told(after), reason)]
    if before.outcome == after.outcome and before.error == after.error:
        return []
    worse = WORTH[after.outcome] < WORTH[before.outcome]
    reason = "it does not work as it did" if worse else "it works better than it did"
    category = RETRAIN if worse else LOADS
    return [Difference(category, "verdict", f"peft {after.version}", _told(before), _told(after), reason)]


def _told(verdict: Verdict) -> str:
    return verdict.outcome + (f" ({verdict.error.type}: {verdict.error.match})" if verdict.error else "")
