"""One run with AdapterHub's library: every load, then forwards with the composition, held against what is meant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from .compositions import Forwards, filled, leaves, read, text_of, unlike
from .hub_loads import load, opened
from .models import Unreadable, build, placed
from .telling import Channel, unless_out_of_memory

Job = dict[str, Any]
Record = dict[str, Any]


def wrapped(job: Job, attn: str | None = None, meta: bool = False) -> Any:
    """The base of a job, wrapped by the library."""
    import adapters
    import torch

    model = build(job, attn, meta)
    if meta:
        with torch.device("meta"):
            adapters.init(model)
    else:
        adapters.init(model)
    return model


def run_hub(job: Job, channel: Channel) -> Any:
    """Everything that the job asks for; the wrapped model, None where a load raised."""
    try:
        model = wrapped(job, meta=job["scale"] == "load")
    except Unreadable:
        raise
    except Exception as problem:
        channel.say("base", outcome="raises", error=channel.error(problem))
        return None
    parameters = sum(each.numel() for each in model.parameters())
    channel.say("base", outcome="ok", parameters=parameters, **{"class": type(model).__name__})
    for number, each in enumerate(job["adapters"]):
        told = {"number": number, "op": "load", "adapter": each["name"]}
        seen = added(model, each) if job["scale"] == "tiny" else arrived(model, each)
        channel.say("step", **told, **seen)
        if seen["outcome"] == "raises":
            return None
    if job["scale"] != "load":
        forwards(job, placed(model, job), channel)
    return model


def arrived(model: Any, adapter: Record) -> Record:
    """One load from the adapter's folder."""
    seen = load(model, adapter["folder"], adapter["name"], opened(Path(adapter["folder"])))
    if seen["outcome"] == "fails":
        return {"outcome": "raises", "error": seen["error"]}
    return {
        "outcome": "ok",
        "missing_keys": seen["missing"],
        "unexpected_keys": seen["unexpected"],
        "left_at_init": seen["left"],
        "ignored": seen["ignored"],
    }


def added(model: Any, adapter: Record) -> Record:
    """One adapter of the same config, made anew because the saved tensors do not fit a small model."""
    from adapters import AdapterConfig

    try:
        config = AdapterConfig.load(dict(adapter["config"]))
        model.add_adapter(adapter["name"], config=config)
    except Exception as problem:
        unless_out_of_memory(problem)
        return {"outcome": "raises", "error": {"type": type(problem).__name__, "message": str(problem)}}
    return {"outcome": "ok", "made_anew": True}


def forwards(job: Job, model: Any, channel: Channel) -> None:
    """What the library makes of the base itself, then a forward for each composition and mask."""
    filled(model, [*model.adapters_config])
    for masked in job["masks"]:
        channel.say("library", masked=masked, **library(job, masked))
    for names in job["fusions"]:
        try:
            model.add_adapter_fusion(names.split(","))
        except Exception as problem:  # then the composition is run without it, as one whose layers were never made
            channel.say("fusion", names=names, error=channel.error(problem))
    placed(model, job)
    for written in job["compositions"]:
        for masked in job["masks"]:
            one_forward(job, model, channel, written, masked)


def one_forward(job: Job, model: Any, channel: Channel, written: Any, masked: bool) -> None:
    """Set a composition active, run it, and say what is not as it is meant."""
    told = {"composition": text_of(written), "masked": masked}
    try:
        setup = read(written)
        each = Forwards(model, case_of(job), masked)
        model.set_active_adapters(setup)
        why = [*each.faults(setup), *by_backend(job, model, each, setup)]
        shape = [*each.run(setup).shape]
    except Exception as problem:
        channel.say("composition", outcome="raises", error=channel.error(problem), **told)
        return
    channel.say("composition", outcome="ok", why=why, shape=shape, **told)


def case_of(job: Job) -> Record:
    """What a forward is run with."""
    return {"sizes": job["sizes"], "fusions": job["fusions"]}


def library(job: Job, masked: bool) -> Record:
    """With no adapter: whether the model answers as before it was wrapped, and what a forward leaves in the cache.

    The model is a fresh one: a load takes the head that lies beside an adapter, too.
    """
    try:
        wrapped_one = Forwards(placed(wrapped(job), job), case_of(job), masked)
        plain = Forwards(build(job), case_of(job), masked)
        plain.model.set_active_adapters = lambda _: None
        return {
            "outcome": "ok",
            "unchanged": not unlike(plain.run(None), wrapped_one.run(None)),
            "cached": wrapped_one.cached(),
        }
    except Exception as problem:
        unless_out_of_memory(problem)
        return {"outcome": "raises", "error": {"type": type(problem).__name__, "message": str(problem)}}


def by_backend(job: Job, model: Any, forwards: Forwards, setup: Any) -> Iterator[str]:
    """Whether a composition gives under eager attention what it gives under the job's, where the base alone does."""
    other = Forwards(wrapped(job, "eager"), case_of(job), forwards.masked)
    if unlike(other.run(None), forwards.run(None)):
        return
    names = [name for name in leaves(setup) if name in model.adapters_config]
    for name in dict.fromkeys(names):
        other.model.add_adapter(name, config=model.adapters_config.get(name))
    for fusion in job["fusions"]:
        other.model.add_adapter_fusion(fusion.split(","))
    placed(other.model, job)
    own = other.model.state_dict()
    other.model.load_state_dict({key: value for key, value in model.state_dict().items() if key in own}, strict=False)
    with suppress(Exception):
        if unlike(other.run(setup), forwards.run(setup)):
            yield "eager attention gives something else"
