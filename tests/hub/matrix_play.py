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

import adapters
import transformers

from tests.hub.play import Record, filled, played, wrapped

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
            record["drawn"] = bool(left) and all(key.startswith("shared_parameters.") for key in left)
            if record["outcome"] == "wrong" and "left" in record and not record["ignored"]:
                record["outcome"] = "works" if record["drawn"] or not left else "wrong"
        worst = max(records, key=lambda record: ("works", "wrong", "fails").index(record["outcome"]))
        return {**worst, "drawn": any(record["drawn"] for record in records)}
    except Exception as problem:
        return {"outcome": "fails", "error": {"type": type(problem).__name__, "message": str(problem)[:3000]}}


def main(cases: Path, records: Path) -> None:
    """Every case in turn: its last record, or why its adapters could not be made."""
    transformers.logging.set_verbosity_error()
    logging.getLogger("adapters").setLevel(logging.ERROR)
    done: dict[str, Record] = {}
    for case in json.loads(cases.read_text()):
        refused = made(case)
        done[case["key"]] = {"refused": refused} if refused else ended(case)
    records.write_text(json.dumps({"version": adapters.__version__, "records": done}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
