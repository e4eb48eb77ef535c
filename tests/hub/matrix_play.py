"""Adapters made and composed by the installed library: `python -m tests.hub.matrix_play cases.json records.json`.

A case is one of play.py, whose adapters are [name, folder to be written] and have their configs under `made_of`.
Nothing of adaptlint is imported.
"""

from __future__ import annotations

import copy
import json
import logging
import sys
from pathlib import Path
from typing import Any

import adapters
import transformers

from adaptlint.replay.worker.compositions import Forwards, filled
from tests.hub.play import Record, played, read, wrapped
from tests.hub.steps import run_step

CONSTANT = ".parametrizations.weight.0.base"  # a buffer of torch's orthogonal parametrization: the identity, always


def made(case: Record) -> str:
    """Write the adapters as the library saves them; what it raises instead."""
    model = wrapped(Path(case["config"]), case["class"])
    try:
        for (name, folder), config in zip(case["adapters"], case["made_of"], strict=True):
            model.add_adapter(name, config=copy.deepcopy(config))
            filled(model, [name])
            Path(folder).mkdir(parents=True)
            model.save_adapter(folder, name, **({} if model.base_model is model else {"with_head": False}))
        for fusion in case["fusions"]:
            model.add_adapter_fusion(fusion.split(","))  # refused for adapters of several methods
    except Exception as problem:
        return f"{type(problem).__name__}: {problem}"[:200]
    return ""


def ended(case: Record) -> Record:
    """The worst record of a case, loads included; a base that is refused under its backend is one too.

    `drawn`: some matrices that all layers share were drawn anew, since the library had not saved them.
    """
    try:
        records = played(case)
        for record in records:
            left = [key for key in record.get("left", ()) if not key.endswith(CONSTANT)]
            record["drawn"] = bool(left) and all("shared_parameters" in key.split(".") for key in left)
            if record["outcome"] == "wrong" and "left" in record and not record["ignored"]:
                record["outcome"] = "works" if record["drawn"] or not left else "wrong"
        worst = max(records, key=lambda record: ("works", "wrong", "fails").index(record["outcome"]))
        later = [what for record in records for what in record.get("afterwards", ())]
        return {**worst, "drawn": any(record["drawn"] for record in records), "afterwards": later}
    except Exception as problem:
        return {"outcome": "fails", "error": {"type": type(problem).__name__, "message": str(problem)[:3000]}}


def stepped(case: Record) -> Record:
    """What each of a case's `steps` raises, None where it works; no steps where the load or the forward raises."""
    try:
        model = wrapped(Path(case["config"]), case["class"], case["attn"])
        for name, folder in case["adapters"]:
            model.load_adapter(folder, load_as=name, set_active=False)
        filled(model, [*model.adapters_config])
        for fusion in case["fusions"]:
            model.add_adapter_fusion(fusion.split(","))
        forwards, setup = Forwards(model, case, case["masks"][0]), read(case["compose"])
        forwards.run(setup)
    except Exception as problem:
        return {"raises": f"{type(problem).__name__}: {problem}"[:200]}
    return {"steps": {step: _error_of(forwards, setup, step) for step in case["steps"]}}


def _error_of(forwards: Forwards, setup: Any, step: str) -> Record | None:
    try:
        run_step(forwards, setup, step)
    except Exception as problem:
        return {"type": type(problem).__name__, "message": str(problem)[:3000]}
    return None


def main(cases: Path, records: Path) -> None:
    """Every case in turn: its last record, or why its adapters could not be made."""
    transformers.logging.set_verbosity_error()
    logging.getLogger("adapters").setLevel(logging.ERROR)
    done: dict[str, Record] = {}
    for case in json.loads(cases.read_text()):
        refused = made(case)
        done[case["key"]] = {"refused": refused} if refused else stepped(case) if "steps" in case else ended(case)
    records.write_text(json.dumps({"version": adapters.__version__, "records": done}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
