"""The adapter loaded by the model's own `load_adapter` of transformers."""

from __future__ import annotations

from typing import Any

from .models import Unreadable, answer, build, inputs_of, known_of, runs_alone
from .telling import Channel

LISTS = ("missing_keys", "unexpected_keys")


def run_integration(job: dict[str, Any], channel: Channel) -> None:
    """Each load of the plan, then one forward with the adapters on and one with them off."""
    meta = job["scale"] == "load"
    try:
        model = build(job, meta=meta)
        runs_alone(model, job)
    except Unreadable:
        raise
    except Exception as problem:
        channel.say("base", outcome="raises", error=channel.error(problem), artefact=job["scale"] == "tiny")
        return
    channel.say("base", outcome="ok", parameters=sum(each.numel() for each in model.parameters()))
    for number, step in enumerate(job["plan"]):
        told = {"number": number, "op": step["op"], "adapter": step["name"]}
        folder = next(each["folder"] for each in job["adapters"] if each["name"] == step["name"])
        try:
            seen = model.load_adapter(folder, adapter_name=step["name"])
        except Exception as problem:
            channel.say("step", outcome="raises", error=channel.error(problem), **told)
            return
        lists = {name: sorted(getattr(seen, name, ())) for name in LISTS}
        channel.say("step", outcome="ok", left_at_init=lists["missing_keys"], **told, **lists)
    if meta:
        return
    try:
        given = inputs_of(model, job)
        on = answer(model.eval(), given)
        model.disable_adapters()
        apart = float((on - answer(model, given)).abs().max())
    except Exception as problem:
        channel.say("forward", outcome="raises", error=channel.error(problem))
        return
    channel.say("forward", outcome="ok", inputs=known_of(given), effect=apart > 0, max_abs_diff=apart, finite=True)
