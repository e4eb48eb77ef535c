"""What PEFT does without a word and a reader should hear of all the same: no doubt here changes the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adaptlint import tables
from adaptlint.artefacts import Folder, TensorFile, ValueRow
from adaptlint.bases import Base
from adaptlint.findings import Fact, Fault, Where
from adaptlint.graph import Adapter
from adaptlint.hints import Any
from adaptlint.methods import PEFT_PREFIX
from adaptlint.runtimes.peft.changed_base import INIT, rewriting_init
from adaptlint.runtimes.peft.loading import Loaded, base_name
from adaptlint.runtimes.peft.release import PEFT
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.peft.tied import tied_modules
from adaptlint.runtimes.peft.wrapped import Site, Wrapped

TABLE = "runtimes/peft/doubts.toml"
NOT_FLOATING = {"I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64", "BOOL", "C32", "C64", "C128"}


def doubts_of(
    wrapped: Wrapped,
    adapter: Adapter,
    settings: Settings,
    file: TensorFile,
    result: Loaded,
    values: Mapping[str, ValueRow],
) -> Iterator[Fault]:
    """Everything odd about an adapter that has loaded; each question is asked only where its occasion is there."""
    name = adapter.name
    card = tables.load()[TABLE]
    if settings.is_lora:
        yield from _scales(wrapped, name, settings, card["scale"]["most"])
    yield from _initialisation(settings)
    yield from _integers(file, settings)
    yield from _task_ids(settings, card["tasks"])
    base = wrapped.base
    if settings["ensure_weight_tying"] and not tied_modules(base):
        yield Fault("weight-tying-idle", at=settings.where("ensure_weight_tying"))
    embedding = base.input_embedding
    if embedding and (embedding in wrapped.sites or wrapped.saved or wrapped.sites.get(base.output_embedding or "")):
        yield from _one_side(wrapped, name, settings)
        yield from _whole(wrapped, name, file)
    for head in card["heads"]["names"]:
        if head in wrapped.by_path:
            yield from _head(wrapped.base, head, result, settings)
    if values and settings.is_lora and not settings["use_dora"]:
        from adaptlint.runtimes.peft.dead import dead_sites

        yield from dead_sites(name, settings, file, result, values)
    if settings.given.get("base_model_name_or_path"):
        yield from _other_base(wrapped.base, settings, card)
    folder = adapter.folder
    if embedding and isinstance(folder, Folder) and not folder.names.keys().isdisjoint(card["tokenizer"]["files"]):
        from adaptlint.runtimes.peft.vocabulary import tokens_without_rows

        yield from tokens_without_rows(wrapped, adapter, result, settings)


def _scales(wrapped: Wrapped, name: str, settings: Settings, most: int) -> Iterator[Fault]:
    sites: list[Site] = [*wrapped.sites.values(), *(s for sites in wrapped.parameters.values() for s in sites)]
    scales = [(site.adapters[name].scale, site) for site in sites if name in site.adapters]
    if not scales:
        return
    for reason, (scale, site) in (
        ("scale-is-huge", max(scales, key=_size)),
        ("scale-is-negative", min(scales, key=_size)),
    ):
        if scale > most if reason == "scale-is-huge" else scale < 0:
            facts: dict[str, Fact] = {
                "scale": round(scale, 3),
                "alpha": settings["lora_alpha"],
                "rank": site.adapters[name].rank,
                "rule": "lora_alpha / sqrt(r), because use_rslora is set"
                if settings["use_rslora"]
                else "lora_alpha / r",
            }
            yield Fault(reason, module=site.path, at=settings.where("lora_alpha"), facts=facts)


def _size(scaled: tuple[float, Site]) -> float:
    return scaled[0]


def _task_ids(settings: Settings, card: Mapping[str, Any]) -> Iterator[Fault]:
    method, task = settings.method.peft_type, settings["task_type"]
    if method in card["methods"] and task not in tables.load()[PEFT]["task"]:
        facts: dict[str, Fact] = {"method": method, "asks": card["asks"][method]}
        yield Fault("task-ids-passed-by", at=settings.where("task_type"), facts=facts)
    if task in card["kept"].get(method, ()):
        facts = {"task": task, "asks": card["asks"][method]}
        yield Fault("task-ids-kept", at=settings.where("task_type"), facts=facts)


def _initialisation(settings: Settings) -> Iterator[Fault]:
    init = rewriting_init(settings)
    if init:
        yield Fault("base-rewritten-by-init", at=settings.where(INIT), facts={"init": init})


def _integers(file: TensorFile, settings: Settings) -> Iterator[Fault]:
    if NOT_FLOATING.isdisjoint([row.dtype for row in file.tensors.values()]):
        return
    for key, row in file.tensors.items():
        meant = any(name in key for name in settings.method.integers)
        if row.dtype in NOT_FLOATING and f".{settings.method.prefix}" in key and not meant:
            module = base_name(key.partition(f".{settings.method.prefix}")[0])
            facts: dict[str, Fact] = {"key": key, "dtype": row.dtype}
            yield Fault("dtype-not-floating", module=module, at=Where(file.path, (key,)), facts=facts)


def _one_side(wrapped: Wrapped, name: str, settings: Settings) -> Iterator[Fault]:
    """Of weights that are one tensor in the base, each adapted module goes its own way (peft#2777)."""
    base = wrapped.base
    tied = [base.input_embedding or "", *tied_modules(base)]
    if len(tied) < 2 or settings["ensure_weight_tying"] or not base.resolved_config.get("tie_word_embeddings"):
        return
    touched = [
        p
        for p in tied
        if name in wrapped.saved.get(p, ()) or (p in wrapped.sites and name in wrapped.sites[p].adapters)
    ]
    if touched:
        field = "modules_to_save" if touched[0] in wrapped.saved else "target_modules"
        facts: dict[str, Fact] = {"adapted": touched, "tied": tied}
        yield Fault("tied-weights-part", module=touched[0], at=settings.where(field), facts=facts)


def _whole(wrapped: Wrapped, name: str, file: TensorFile) -> Iterator[Fault]:
    """An embedding or head that is saved whole although the vocabulary did not grow."""
    total = sum(row.end - row.start for row in file.tensors.values()) or 1
    for path in dict.fromkeys((wrapped.base.input_embedding, wrapped.base.output_embedding)):
        if path and name in wrapped.saved.get(path, ()):
            key = f"{PEFT_PREFIX}{path}.weight"
            row = file.tensors.get(key)
            if row is not None and row.end > row.start:
                share = round(100 * (row.end - row.start) / total)
                facts: dict[str, Fact] = {"key": key, "bytes": row.end - row.start, "share": share}
                yield Fault("embedding-saved-whole", module=path, at=Where(file.path, (key,)), facts=facts)


def _head(base: Base, head: str, result: Loaded, settings: Settings) -> Iterator[Fault]:
    """A head of the class that neither the base's checkpoint nor the adapter's file has weights for."""
    inside = (f"{head}.", f"{head}.modules_to_save.", f"{head}.original_module.")
    if any(
        result.keys[key].module == head or result.keys[key].module.startswith(inside)
        for key in result.arrived
        if result.keys[key].kind != "site"
    ):
        return
    built_for = base.config.get("architectures")
    unsaved = base.overlay is not None and any(name.startswith(f"{head}.") for name in base.overlay.unsaved)
    foreign = isinstance(built_for, list) and bool(built_for) and base.model_class not in built_for
    if not (foreign if base.overlay is None else unsaved):
        return
    who = "the base's own weight file does not have it either"
    if not unsaved:
        who = f"the base's config was saved by {', '.join(str(name) for name in built_for or ())[:200]}, which has none"
    at = settings.where("task_type" if settings.given.get("task_type") else "modules_to_save")
    facts: dict[str, Fact] = {"class": base.model_class, "who": who, "task": str(settings["task_type"])}
    yield Fault("head-has-no-weights", module=head, at=at, facts=facts)


def _other_base(base: Base, settings: Settings, card: Mapping[str, Mapping[str, list[str]]]) -> Iterator[Fault]:
    """The names of the base, where both sides have one that can be compared."""
    named = settings.given["base_model_name_or_path"]
    ours = _hub_name(base)
    if not isinstance(named, str) or not ours or named.count("/") != 1 or named[0] in "./~":
        return
    endings = tuple(card["quantised"]["endings"])
    if _plain(named, endings) != _plain(ours, endings):
        facts: dict[str, Fact] = {"named": named[:200], "given": ours[:200]}
        yield Fault("base-named-differently", at=settings.where("base_model_name_or_path"), facts=facts)


def _hub_name(base: Base) -> str:
    """The repository that the base was asked for as, by hub id or by its place in the hub's cache; "" for others.

    `_name_or_path` in its config does not count: it names what a model was trained from as often as the model.
    """
    _, cached, repository = base.ref.replace("\\", "/").partition("/models--")
    if cached:
        return repository.partition("/")[0].replace("--", "/", 1)
    found = base.config_file.path if base.config_file else ""
    return "" if found.startswith(base.ref) else base.ref  # a hub id is not where its files are


def _plain(name: str, endings: tuple[str, ...]) -> str:
    """A repository's own name without its owner and without what quantised twins are called."""
    plain = name.rpartition("/")[2].lower()
    while plain.endswith(endings):
        plain = next(plain.removesuffix(ending) for ending in endings if plain.endswith(ending))
    return plain
