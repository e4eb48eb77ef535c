"""Load folders with whichever AdapterHub library is installed: `python -m tests.hub.play cases.json records.json`.

A case is {key, config: the base's config.json, class: a transformers class, adapters: [[name or null, folder]], and for
the forwards afterwards compose, fusions, attn, sizes, masks}. It runs where there is nothing but `adapters` and what it
pins; of adaptlint only the files of replay's worker can be imported there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import adapters
import torch
import transformers
from adapters import composition as blocks

from adaptlint.replay.worker.compositions import Forwards, filled, unlike
from adaptlint.replay.worker.hub_loads import load, opened
from tests.hub.afterwards import unlike_afterwards
from tests.hub.steps import USUAL, run_step

Record = dict[str, Any]
GENERATES, TRAINS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration"), ("For", "LMHeadModel")
FLASH = "flash_attention_2"
WIDE = {"initializer_range": 0.2, "init_std": 0.2}  # weights with which attention is far from even


def base(config: Path, name: str, attn: str | None = None) -> Any:
    """A randomly initialised base of that class."""
    told = json.loads(config.read_text())
    torch.manual_seed(0)
    kind = getattr(transformers, name)
    settings = {"attn_implementation": attn} if attn else {}
    asked = transformers.AutoConfig.for_model(told.pop("model_type"), **{**WIDE, **told})
    with without_kernels() if attn == FLASH else nullcontext():
        return kind._from_config(asked, **settings).eval()


@contextmanager
def without_kernels() -> Iterator[None]:
    """Flash attention's classes are taken, though its kernels are not installed: they run up to the kernels' call."""
    kind: Any = transformers.PreTrainedModel
    original = kind.__dict__["_check_and_enable_flash_attn_2"]

    def enable(cls: Any, config: Any, *_: Any, **__: Any) -> Any:
        config._attn_implementation = FLASH
        return config

    kind._check_and_enable_flash_attn_2 = classmethod(enable)
    try:
        yield
    finally:
        kind._check_and_enable_flash_attn_2 = original


def wrapped(config: Path, name: str, attn: str | None = None) -> Any:
    """The base, wrapped by the library."""
    built = base(config, name, attn)
    adapters.init(built)
    return built


def read(text: str) -> Any:
    """An expression as the library's blocks."""

    class Names(dict):  # type: ignore[type-arg]
        def __missing__(self, name: str) -> Any:
            return getattr(blocks, name) if name[:1].isupper() else name

    setup = eval(text, {"__builtins__": {}}, Names({"True": True, "False": False}))  # noqa: S307 - our own pages' text
    return blocks.parse_composition(setup)


def played(case: Record) -> list[Record]:
    """What each load of a case does, up to the first that raises; then its forwards."""
    model = wrapped(Path(case["config"]), case["class"], case["attn"])
    records: list[Record] = []
    for name, folder in case["adapters"]:
        records.append(load(model, folder, name, opened(Path(folder))))
        if records[-1]["outcome"] == "fails":
            return records
    filled(model, [*model.adapters_config])
    for fusion in case["fusions"]:
        model.add_adapter_fusion(fusion.split(","))
    asked = [case["compose"]] if case["compose"] else [*model.adapters_config]
    return records + [forward(model, case, text, masked) for text in asked for masked in case["masks"]]


def forward(model: Any, case: Record, text: str, masked: bool) -> Record:
    """One forward with a composition; "wrong" with what is unlike what is meant."""
    told: Record = {"composition": text, "masked": masked}
    try:
        forwards = Forwards(model, case, masked)
        setup = read(text)
        model.set_active_adapters(setup)
        why = [*forwards.faults(setup), *of_library(model, case, forwards, setup)]
    except Exception as problem:
        return {**told, "outcome": "fails", "error": {"type": type(problem).__name__, "message": str(problem)[:3000]}}
    ended = {**told, "outcome": "wrong" if why else "works", "why": why, "cached": forwards.cached()}
    for step in filter(None, map(str.strip, (case.get("plan") or "").split(";"))):
        try:
            run_step(forwards, setup, step)
        except Exception as problem:
            error = {"type": type(problem).__name__, "message": str(problem)[:3000]}
            return {**ended, "outcome": "fails", "error": error}
    return {**ended, "afterwards": [*unlike_afterwards(forwards, setup), *_raising(forwards, setup)]}


def _raising(forwards: Forwards, setup: Any) -> Iterator[str]:
    """The usual steps beyond a forward that raise."""
    known = type(forwards.model).__name__
    for step in USUAL:
        if any(word in known for word in (GENERATES if step.startswith("generate") else TRAINS)):
            try:
                run_step(forwards, setup, step)
            except Exception as problem:
                yield f"{step} raises {type(problem).__name__}"


def of_library(model: Any, case: Record, forwards: Forwards, setup: Any) -> Iterator[str]:
    """Whether the base itself is the same as before it was wrapped, and under eager attention as under sdpa."""
    config = Path(case["config"])
    plain = Forwards(base(config, case["class"], case["attn"]), case, forwards.masked)
    plain.model.set_active_adapters = lambda _: None
    if sees_ahead(forwards) and not sees_ahead(plain):
        yield "after adapters.init every token sees those after it"
    if unlike(plain.run(None), forwards.run(None)):
        yield "the model is another one after adapters.init"
    other = Forwards(wrapped(config, case["class"], "eager"), case, forwards.masked)
    if unlike(other.run(None), forwards.run(None)):
        return
    for name, folder in case["adapters"]:
        other.model.load_adapter(folder, load_as=name, set_active=False)
    for fusion in case["fusions"]:
        other.model.add_adapter_fusion(fusion.split(","))
    other.model.load_state_dict(
        {key: value for key, value in model.state_dict().items() if key in other.model.state_dict()}
    )
    with suppress(Exception):
        if unlike(other.run(setup), forwards.run(setup)):
            yield "eager attention gives something else"


def sees_ahead(forwards: Forwards) -> bool:
    """Whether the first token's output is another one where the last token is."""

    def changed(given: Record) -> Record:
        ids = given["input_ids"].clone()
        ids[:, -1] = ids[:, -1] - 1
        return {**given, "input_ids": ids}

    with suppress(Exception):
        return unlike(forwards.run(None)[:, 0], forwards.run(None, changed)[:, 0])
    return False


def main(cases: Path, records: Path) -> None:
    """Play every case of one file and write what happened to another."""
    done = {case["key"]: played(case) for case in json.loads(cases.read_text())}
    records.write_text(json.dumps({"version": adapters.__version__, "records": done}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
