"""Steps of a plan beyond one forward, run with whichever AdapterHub library is installed."""

from __future__ import annotations

from typing import Any

import torch

from adaptlint.replay.worker.compositions import Forwards

NEW = 4  # tokens that are generated
USUAL = ("generate", "generate num_beams=2", "backward", "backward labels=false checkpointing=true")


def run_step(forwards: Forwards, setup: Any, text: str) -> None:
    """Do one step as it is written in a plan; raises what the library raises."""
    op, *options = text.split()
    given = dict(option.split("=") for option in options)
    forwards.model.set_active_adapters(setup)
    (_generate if op == "generate" else _backward)(forwards, given)


def _generate(forwards: Forwards, given: dict[str, str]) -> None:
    inputs = {name: value for name, value in forwards.inputs().items() if not name.startswith(("decoder_", "use_"))}
    beams, returned = int(given.get("num_beams", 1)), int(given.get("num_return_sequences", 1))
    with torch.no_grad():
        forwards.model.generate(
            **inputs,
            **({"task_ids": torch.zeros(forwards.sizes["batch"], dtype=torch.long)} if _has_tasks(forwards) else {}),
            max_new_tokens=NEW,
            min_new_tokens=NEW,
            num_beams=beams,
            num_return_sequences=returned,
            do_sample=returned > beams,
            use_cache=given.get("use_cache", "true") == "true",
        )


def _backward(forwards: Forwards, given: dict[str, str]) -> None:
    model, inputs = forwards.model, forwards.inputs()
    names = {*model.adapters_config}
    state = {name: value.requires_grad for name, value in model.named_parameters()}
    if given.get("labels", "true") == "true":
        inputs = {**inputs, **_labels(forwards, inputs)}
    if _has_tasks(forwards):
        inputs["task_ids"] = torch.zeros(forwards.sizes["batch"], dtype=torch.long)
    try:
        for name, value in model.named_parameters():
            value.requires_grad_(not names.isdisjoint(name.split(".")))
        if given.get("checkpointing") == "true":
            model.gradient_checkpointing_enable()
        model.train()
        result = model(**inputs)
        (result.loss if result.get("loss") is not None else result[0].sum()).backward()
    finally:
        model.eval()
        model.zero_grad(set_to_none=True)
        if given.get("checkpointing") == "true":
            model.gradient_checkpointing_disable()
        for name, value in model.named_parameters():
            value.requires_grad_(state[name])


def _labels(forwards: Forwards, inputs: dict[str, Any]) -> dict[str, Any]:
    """Labels as the class takes them: one for a text, one for a token, or two places."""
    name = type(forwards.model).__name__
    if "QuestionAnswering" in name:
        places = torch.zeros(forwards.sizes["batch"], dtype=torch.long)
        return {"start_positions": places, "end_positions": places}
    if "Sequence" in name or "ImageClassification" in name:
        return {"labels": torch.zeros(forwards.sizes["batch"], dtype=torch.long)}
    if "TokenClassification" in name:
        return {"labels": torch.zeros_like(inputs["input_ids"])}
    return {"labels": inputs.get("decoder_input_ids", inputs.get("input_ids"))}


def _has_tasks(forwards: Forwards) -> bool:
    return "MultiTask" in str(forwards.model.active_adapters)
