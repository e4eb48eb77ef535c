"""From a load's result to faults: which tensors did not arrive, which went nowhere, which overwrote the base."""

from __future__ import annotations

from collections.abc import Mapping

from adaptlint.artefacts import TensorFile, ValueRow
from adaptlint.findings import Fact, Fault, Where
from adaptlint.named_tuple import NamedTuple
from adaptlint.runtimes.peft.coverage import coverage
from adaptlint.runtimes.peft.loading import MAGNITUDE, Loaded, base_name
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.wrapped import Origin, Wrapped
from adaptlint.runtimes.peft.wrappers import Renaming, cause_of, renaming_of

ZERO_AT_FIRST = ("lora_B.weight", "lora_embedding_A")  # if init_lora_weights is true (LoraLayer.reset_lora_parameters)
BESIDE = ("lora_magnitude_vector", "lora_B.bias")


class LoadReport(NamedTuple):
    """The faults of one load, and the adapter's parameters that keep their initial value."""

    faults: list[Fault]
    left: list[str]


def faults_of_mismatch(wrapped: Wrapped, settings: Settings, file: TensorFile, result: Loaded) -> list[Fault]:
    """One fault per tensor of another shape, each with the axis that disagrees and who said both sizes."""
    from adaptlint.runtimes.peft.mismatch import mismatch_fault
    from adaptlint.runtimes.peft.pruning import explain_widths

    faults = [mismatch_fault(wrapped, settings, file, result, mismatch) for mismatch in result.mismatched]
    return explain_widths(faults, wrapped, settings, file)


def faults_of_load(
    wrapped: Wrapped,
    adapter: str,
    settings: Settings,
    file: TensorFile,
    result: Loaded,
    values: Mapping[str, ValueRow],
) -> LoadReport:
    """What a load that did not raise leaves behind."""
    keys = result.keys
    expected = [key for key, origin in keys.items() if origin.adapter == adapter and origin.kind == "site"]
    lost_biases = _lost_biases(settings, result, wrapped)
    again = settings.method.made_again
    lost = [key for key in expected if key not in result.arrived and not keys[key].saved.endswith(again)]
    faults: list[Fault] = []
    if not file.tensors and expected:
        faults.append(Fault("adapter-file-empty", at=Where(file.path), facts={"expected": len(expected)}, decides=True))
    elif lost and len(lost) == len(expected):
        fault = _nothing_arrived(file, result, wrapped, settings, expected)
        faults.append(fault._replace(repair=_repair(renamed_to(file, result, lost, wrapped))))
    elif lost or result.unexpected:
        layers = coverage(wrapped, adapter, settings.method.prefix, file, result)
        renaming = renamed_to(file, result, lost, wrapped)
        faults.extend(_partly(file, result, lost, expected, settings, layers, renaming))
    faults.extend(
        Fault(
            "bias-missing",
            module=keys[key].module,
            at=settings.where("bias"),
            facts={"key": key, "bias": settings["bias"]},
        )
        for key in lost_biases
    )
    faults.extend(_overwritten(file, settings, key, result, wrapped) for key in _overwrites(settings, result))
    faults.extend(_nonfinite(file, values, result))
    return LoadReport(faults, lost)


def renamed_to(file: TensorFile, result: Loaded, lost: list[str], wrapped: Wrapped) -> Renaming:
    """The names that PEFT looks for, for those tensors of the file that it ignores."""
    sources = (source for sources in result.unexpected.values() for source in sources)
    stray = {source: file.tensors[source].shape for source in sources if source in file.tensors}
    return renaming_of(stray, {result.keys[key].saved: result.keys[key].shape for key in lost}, wrapped.base)


def _repair(renaming: Renaming) -> str:
    """How safe it is to rename the tensors; "" where some have no other name."""
    return renaming.safety if renaming.names and not renaming.left else ""


def _partly(
    file: TensorFile,
    result: Loaded,
    lost: list[str],
    expected: list[str],
    settings: Settings,
    layers: Mapping[str, Fact],
    renaming: Renaming,
) -> list[Fault]:
    """What a load leaves behind of which something arrived."""
    ignored = _repair(renaming)
    missing = ignored if len(renaming.names) == len(lost) else ""
    facts = {**layers, **_nearest_name(result, result.keys, lost)}
    lacking = _missing(file, [(key, result.keys[key]) for key in lost], settings, layers, expected)
    surplus = [_ignored(file, sources[0], settings, facts) for sources in result.unexpected.values()]
    return [*(f._replace(repair=missing) for f in lacking), *(f._replace(repair=ignored) for f in surplus)]


def _missing(
    file: TensorFile,
    lost: list[tuple[str, Origin]],
    settings: Settings,
    layers: Mapping[str, Fact],
    expected: list[str],
) -> list[Fault]:
    prefix = settings.method.prefix
    starts_at_zero = settings.is_lora and bool(settings["init_lora_weights"])
    magnitudes = sum(MAGNITUDE in key for key in expected)
    without = magnitudes == len(lost) and all(MAGNITUDE in key for key, _ in lost)
    without = without and not any(MAGNITUDE in key for key in file.tensors)
    silent = {o.module for _, o in lost if starts_at_zero and _tensor(o, prefix) in ZERO_AT_FIRST}
    faults = []
    for key, origin in lost:
        tensor = _tensor(origin, prefix)
        facts: dict[str, Fact] = {
            "key": key,
            "saved": origin.saved,
            "tensor": tensor,
            "projection": origin.module.rpartition(".")[2],
            "effect": "so the adapter does nothing there",
            **layers,
        }
        if origin.module not in silent:
            facts["effect"] = (
                "so a part of it is lost" if tensor in BESIDE or not settings.is_lora else "so random numbers act there"
            )
        at = settings.where("use_dora") if without else Where(file.path)
        reason = "dora-magnitudes-missing" if without else "tensor-missing"
        faults.append(Fault(reason, module=origin.module, at=at, facts=facts, decides=True))
    return faults


def _tensor(origin: Origin, prefix: str) -> str:
    """ "lora_A.weight" of "...q_proj.lora_A.weight"."""
    _, found, rest = origin.saved.rpartition(prefix)
    return f"{found}{rest}" if found else origin.saved.rpartition(".")[2]


def _nearest_name(result: Loaded, keys: Mapping[str, Origin], lost: list[str]) -> dict[str, Fact]:
    """What the first ignored tensor is probably called, if a parameter with a name like it stayed without weights."""
    first = next(iter(result.unexpected.values()), None)
    near = ""
    if first and lost:
        from adaptlint.runtimes.peft.meant import nearest

        near = nearest(first[0], (keys[key].saved for key in lost), cutoff=0.9)
    return {"near": f" {near} is like {first[0]} and stayed without weights." if first and near else ""}


def _ignored(file: TensorFile, shown: str, settings: Settings, layers: Mapping[str, Fact]) -> Fault:
    stem, _, tensor = base_name(shown).rpartition(f".{settings.method.prefix}")
    row = file.tensors.get(shown)
    facts: dict[str, Fact] = {
        "key": shown,
        "tensor": f"{settings.method.prefix}{tensor}" if stem else "",
        "projection": stem.rpartition(".")[2] or shown.rpartition(".")[0].rpartition(".")[2],
        "shape": list(row.shape) if row else [],
        **layers,
    }
    module = stem or base_name(shown).rpartition(".")[0]
    reason = "tensor-ignored"
    if MAGNITUDE in shown and not settings["use_dora"]:
        reason = "dora-magnitudes-ignored"
    return Fault(reason, module=module, at=Where(file.path, (shown,)), facts=facts, decides=True)


def _nothing_arrived(
    file: TensorFile, result: Loaded, wrapped: Wrapped, settings: Settings, expected: list[str]
) -> Fault:
    """Not one LoRA tensor has the name that PEFT looks for: told once, with the nearest names side by side."""
    wanted = [result.keys[key].saved for key in expected]
    found = next((key for key in result.unexpected if settings.method.prefix in key), next(iter(file.tensors)))
    source = result.unexpected.get(found, (found,))[0]
    nearest = max(wanted, key=lambda name: _common_suffix(name, source))
    tail = _common_suffix(nearest, source)
    facts: dict[str, Fact] = {
        "expected": len(expected),
        "found_key": source,
        "wanted_key": nearest,
        "found_prefix": source[: len(source) - tail],
        "wanted_prefix": nearest[: len(nearest) - tail],
        "ignored": len(result.unexpected),
        "cause": cause_of(source, set(wanted), wrapped.base),
    }
    return Fault("no-tensor-arrives", at=Where(file.path, (source,)), facts=facts, decides=True)


def _common_suffix(one: str, other: str) -> int:
    """Length of the longest common ending that starts at a segment's start, in characters."""
    theirs, ours = one.split("."), other.split(".")
    length = 0
    for mine, yours in zip(reversed(theirs), reversed(ours), strict=False):
        if mine != yours:
            break
        length += len(mine) + 1
    return max(0, length - 1)


def _lost_biases(settings: Settings, result: Loaded, wrapped: Wrapped) -> list[str]:
    """Biases that `bias` says were trained and that the file does not bring."""
    bias = settings["bias"]
    if bias == "none":
        return []
    names = [key for key, origin in result.keys.items() if origin.kind == "base" and key.endswith(".bias")]
    if bias != "all":
        names = [key for key in names if result.keys[key].module in wrapped.sites]
    return [key for key in names if key not in result.arrived]


def _overwrites(settings: Settings, result: Loaded) -> list[str]:
    bias = settings["bias"]
    return [
        key
        for key in result.arrived
        if result.keys[key].kind == "base" and not (bias != "none" and key.endswith(".bias"))
    ]


def _overwritten(file: TensorFile, settings: Settings, key: str, result: Loaded, wrapped: Wrapped) -> Fault:
    """A tensor of the base in the file; PEFT itself saves the embeddings along when LoRA sits on one of them."""
    source = result.arrived[key][0]
    module = result.keys[key].module
    facts = {"key": source, "parameter": base_name(key), "field": "modules_to_save"}
    because = ((settings.where("modules_to_save"), "modules_to_save does not name it"),)
    at = Where(file.path, (source,))
    embeddings = (wrapped.base.input_embedding, wrapped.base.output_embedding)
    if module in embeddings and any(path in wrapped.sites for path in embeddings):
        return Fault("embedding-saved-along", module=module, at=at, facts=facts, because=because)
    return Fault("base-overwritten", module=module, at=at, facts=facts, because=because)


def _nonfinite(file: TensorFile, values: Mapping[str, ValueRow], result: Loaded) -> list[Fault]:
    if not any(row.nonfinite for row in values.values()):
        return []
    return [
        Fault(
            "value-not-finite",
            module=origin.module,
            at=Where(file.path, (source,)),
            facts={"key": source, "count": values[source].nonfinite, "size": values[source].looked_at},
            decides=True,
        )
        for key, origin in result.keys.items()
        for source in result.arrived.get(key, ())
        if origin.kind != "alias" and source in values and values[source].nonfinite
    ]
