"""A mixed batch: `adapter_names` gives every row an adapter of its own (PEFT 0.21.2, tuners/lora/layer.py)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adaptlint import tables
from adaptlint.findings import Fact, Fault
from adaptlint.runtimes.peft.first_axes import FirstAxes
from adaptlint.runtimes.peft.refusal import NotModelled, Refusal
from adaptlint.runtimes.peft.run import Run
from adaptlint.runtimes.peft.wrapped import Site, Wrapped
from adaptlint.runtimes.prediction import Request

TABLE = "runtimes/peft/composed.toml"
BASE = "__base__"
SPLIT_KINDS = ("Linear", "Embedding", "Conv1d", "Conv2d", "Conv3d")  # AuxiliaryTrainingWrapper._mixed_batch_forward
FLEXIBLE = (5,)  # from transformers 5 on the forwards that were looked at take any keyword


def mixed_batch(run: Run, rows: Sequence[str], request: Request) -> list[Fault]:
    """What goes silently wrong in a forward whose row i has the adapter rows[i]; Refusal where it raises."""
    wrapped, release = run.wrapped, run.wrapped.release
    if not release.mixes_rows:
        raise NotModelled("composition-not-told", facts=_unsure(rows, "adapter_names of this release"))
    settings = run.loaded.get(wrapped.active) or next(iter(run.loaded.values()))
    method = settings.method.peft_type
    if method == "ADALORA":
        _refuse_inherited(run, rows)
    since = tables.load()[TABLE]["mixes_rows"].get(method)
    if since is None or not release.reached(since):
        if settings.method.is_prompt and release.transformers < FLEXIBLE:
            raise NotModelled("composition-not-told", facts=_unsure(rows, "adapter_names beside a prompt"))
        return _ignored(wrapped.active, rows, method, since)
    faults = list(_unknown_names(run, rows))
    if wrapped.base.config.get("quantization_config"):
        raise NotModelled("composition-not-told", facts=_unsure(rows, "adapter_names over quantised weights"))
    axes = FirstAxes(wrapped.base, request, len(rows))
    for path in (module.path for module in wrapped.modules):
        faults += _at_module(run, path, rows, axes, method == "LORA")
    if method != "LORA" or not release.mixes_saved:
        faults += _saved_of_active(wrapped, rows)
    if axes.unsure:
        raise NotModelled("composition-not-told", facts=_unsure(rows, axes.unsure))
    return faults


def _refuse_inherited(run: Run, rows: Sequence[str]) -> None:
    """AdaLoRA's model takes the names as LoRA's does, and its layers hand them on to the base's."""
    list(_unknown_names(run, rows))
    first = next((m for m in run.wrapped.modules if m.path in run.wrapped.sites), None)
    if first is not None:
        match = f"{first.cls}.forward() got an unexpected keyword argument 'adapter_names'"
        raise _refuse("TypeError", match, "rows-handed-on", first.path, {})


def _unsure(rows: Sequence[str], problem: str) -> dict[str, Fact]:
    return {"composition": ", ".join(rows)[:200], "problem": problem}


def _ignored(active: str, rows: Sequence[str], method: str, since: str | None) -> list[Fault]:
    """Every row gets the active adapter, whoever is named."""
    other = next((row for row, name in enumerate(rows) if name != active), None)
    if other is None:
        return []
    facts: dict[str, Fact] = {"row": other, "meant": rows[other], "active": active, "method": method}
    if since is not None:
        facts["since"] = since
    return [Fault("adapter-names-ignored", adapter=active, facts=facts, decides=True)]


def _unknown_names(run: Run, rows: Sequence[str]) -> Iterator[Fault]:
    unknown = sorted({name for name in rows if name != BASE and name not in run.loaded})
    if not unknown:
        return
    if run.wrapped.release.checks_row_names:
        match = f"Trying to infer with non-existing adapter(s): {', '.join(unknown)}"
        raise _refuse("ValueError", match, "row-names-unknown", "", {"name": unknown[0]})
    for name in unknown:
        facts: dict[str, Fact] = {"name": name, "instead": "its rows get the base", "row": rows.index(name)}
        yield Fault("adapter-name-passed-over", facts=facts, decides=True)


def _at_module(run: Run, path: str, rows: Sequence[str], axes: FirstAxes, is_lora: bool) -> Iterator[Fault]:
    """What one module makes of the names; modules are asked in the order of the forward."""
    wrapped = run.wrapped
    if path in wrapped.parameters:
        match = "lora.ParamWrapper does not support mixed adapter batches yet."
        raise _refuse("ValueError", match, "rows-at-parameter", path, {})
    site = wrapped.sites.get(path)
    if site is not None and site.kind == "MultiheadAttention":
        if not wrapped.release.reached("0.15.0"):
            raise NotModelled("composition-not-told", facts=_unsure(rows, f"adapter_names at {path} of this release"))
        match = "lora.MultiheadAttention does not support mixed adapter batches."
        raise _refuse("TypeError", match, "rows-at-attention", path, {})
    follows = is_lora and wrapped.release.mixes_saved and (path in wrapped.saved or path in wrapped.tokens)
    if site is None and not follows:
        return
    yield from _check_axis(axes, path, rows)
    if follows:
        _check_copies(wrapped, path, rows)
    if site is not None and is_lora:
        _check_magnitudes(run, site, rows)


def _check_axis(axes: FirstAxes, path: str, rows: Sequence[str]) -> Iterator[Fault]:
    """`_check_forward_args`: a name for everything on the first axis, whatever that is."""
    found = axes.at(path)
    if found is None:
        return
    if found.size != len(rows):
        match = f"Length of `adapter_names` should be the same as the number of inputs, but got {len(rows)} and "
        facts: dict[str, Fact] = {"names": len(rows), "size": found.size if found.certain else None}
        if found.certain:
            match += f"{found.size} respectively."
        reason = "rows-not-of-batch" if found.is_batch else "rows-on-other-axis"
        raise _refuse("ValueError", match, reason, path, facts)
    if not found.is_batch:
        facts = {"size": found.size}
        yield Fault("names-on-other-axis", module=path, facts=facts, decides=True)


def _check_copies(wrapped: Wrapped, path: str, rows: Sequence[str]) -> None:
    """A module of modules_to_save, or with trained tokens, is asked for a copy of every adapter that is named."""
    module = wrapped.by_path[path]
    if module.kind not in SPLIT_KINDS:
        match = "Mixed batching is only supported for the following modules: Linear, Embedding, Conv1d, Conv2d"
        if not wrapped.base.certain_kinds:
            raise NotModelled("composition-not-told", facts=_unsure(rows, f"of what class {path} is"))
        raise _refuse("TypeError", match, "rows-at-saved-module", path, {"class": module.cls})
    owners = wrapped.saved.get(path) or wrapped.tokens[path]
    lacking = [name for name in dict.fromkeys(rows) if name != BASE and name not in owners]
    if lacking:
        match = f"'{lacking[0]}'" if len(lacking) == 1 else "'"
        facts: dict[str, Fact] = {"name": lacking[0], "others": sorted(owners)}
        raise _refuse("KeyError", match, "rows-without-copy", path, facts)


def _check_magnitudes(run: Run, site: Site, rows: Sequence[str]) -> None:
    for name in dict.fromkeys(rows):
        if name in site.adapters and run.loaded[name]["use_dora"]:
            match = "Cannot pass `adapter_names` when DoRA is enabled."
            raise _refuse("ValueError", match, "rows-with-magnitudes", site.path, {"name": name})


def _saved_of_active(wrapped: Wrapped, rows: Sequence[str]) -> Iterator[Fault]:
    """Methods and releases that give the names to their own layers alone."""
    for path, copies in wrapped.copies.modules.items():
        at_work = copies.at_work()
        for row, name in enumerate(rows):
            if (name if name in copies.owners else "") != at_work:
                facts: dict[str, Fact] = {"row": row, "meant": name, "active": at_work or "the base", "until": "0.13.0"}
                yield Fault("saved-module-not-by-row", module=path, facts=facts, decides=True)
                break


def _refuse(type_name: str, match: str, reason: str, module: str, facts: dict[str, Fact]) -> Refusal:
    return Refusal(type_name, match, reason, module=module, facts=facts, stage="forward")
