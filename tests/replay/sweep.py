"""`python -m tests.replay.sweep LIBRARY OUT [--only REGEX]`: the invariants over every architecture that it adapts.

Runs in an environment of the library (`peft` or `adapters`); of adaptlint only replay's worker and the shrinking of
configs are imported. For each model type: a tiny model of its default config, an adapter with random numbers, saved and
then examined. OUT gets a JSON line for each. `tests.replay.wild` makes a page of them.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import random
import re
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adaptlint.replay.worker.guards import keep_quiet
from adaptlint.replay.worker.invariants import INVARIANTS, examine
from adaptlint.replay.worker.running import versions_of
from tests.replay.batch import Collected
from tests.replay.small_bases import small_base

TABLES = {
    "causal": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "masked": "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
    "seq2seq": "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "classes": "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",
    "image": "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES",
}
Row = dict[str, Any]
LORA: Row = {"peft_type": "LORA", "r": 4, "init_lora_weights": False, "target_modules": "all-linear"}
METHODS: dict[str, dict[str, Row]] = {
    "peft": {
        "lora": LORA,
        "dora": {**LORA, "use_dora": True},
        "embedding": {**LORA, "target_modules": "<embeddings>"},
        "tokens": {**LORA, "trainable_token_indices": [3, 4]},
        "saved": {**LORA, "modules_to_save": "<embeddings>"},
        "bias": {**LORA, "lora_bias": True},
        "oft": {"peft_type": "OFT", "r": 0, "oft_block_size": 4, "target_modules": "all-linear", "init_weights": False},
        "lokr": {"peft_type": "LOKR", "r": 4, "target_modules": "all-linear", "init_weights": False},
        "prefix": {"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 4, "task_type": "CAUSAL_LM"},
        "prompt": {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 4, "task_type": "CAUSAL_LM"},
        "ia3": {"peft_type": "IA3", "target_modules": "all-linear", "feedforward_modules": []},
        "vera": {"peft_type": "VERA", "r": 4, "target_modules": "all-linear"},
    },
    "adapters": {
        "lora": {"architecture": "lora", "r": 4, "alpha": 8},
        "seq_bn": {"mh_adapter": False, "output_adapter": True, "reduction_factor": 4, "non_linearity": "relu"},
        "prefix": {"architecture": "prefix_tuning", "prefix_length": 3, "bottleneck_size": 8},
        "ia3": {"named": "ia3"},
        "loreft": {"named": "loreft[r=2,prefix_positions=2,suffix_positions=1]"},
        "compacter": {"named": "compacter[phm_dim=2,reduction_factor=8]"},
        "prompt": {"named": "prompt_tuning[prompt_length=3]"},
    },
}
LIMIT, MEMORY = 300, 8 << 30
NAME = "default"
Entry = tuple[str, str, str]


def entries(library: str) -> Iterator[Entry]:
    """(kind, model type, class) of the Auto tables; of AdapterHub's library those that it wraps."""
    from transformers.models.auto import modeling_auto

    wrapped = None
    if library == "adapters":
        from adapters.models import MODEL_MIXIN_MAPPING

        wrapped = {re.sub("(Model|Encoder|Decoder|Transformer)$", "", name).lower() for name in MODEL_MIXIN_MAPPING}
    for kind, table in TABLES.items():
        for model_type, names in getattr(modeling_auto, table).items():
            name = names if isinstance(names, str) else names[0]
            stem = re.sub("(For[A-Z].*|LMHead.*|Model)$", "", name).lower()
            if wrapped is None or stem in wrapped:
                yield kind, model_type, name


def with_adapter(library: str, model: Any, settings: Row, folder: str) -> str:
    """An adapter with random numbers, saved; its folder."""
    import torch

    if library == "adapters":
        import adapters

        adapters.init(model)
        model.add_adapter(NAME, config=adapters.AdapterConfig.load(settings.get("named", dict(settings))))
        mine = [value for key, value in model.named_parameters() if NAME in key.split(".")]
    else:
        import peft

        settings = {key: embeddings(model) if value == "<embeddings>" else value for key, value in settings.items()}
        kind = peft.PEFT_TYPE_TO_CONFIG_MAPPING[peft.PeftType(settings["peft_type"])]
        model = peft.get_peft_model(model, kind(**{k: v for k, v in settings.items() if k != "peft_type"}))
        mine = [value for value in model.parameters() if value.requires_grad]
    source = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for value in mine:
            value.add_(0.05 * torch.randn(value.shape, generator=source))
    if library == "adapters":
        model.save_adapter(folder, NAME)
    else:
        model.save_pretrained(folder)
    return folder


def embeddings(model: Any) -> list[str]:
    """The names of the embeddings at both ends, those that the model has."""
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    return [name.rpartition(".")[2] for name, module in model.named_modules() if any(module is end for end in ends)]


def job_of(library: str, config: Row, name: str, folder: str) -> Row:
    """What the worker is asked."""
    return {
        "target": {"library": library, "version": ""},
        "scale": "full",
        "layer": None,
        "words": [0, 0],
        "base": {"config": config, "class": name, "weights": None},
        "adapters": [{"name": NAME, "folder": folder, "config": {}}],
        "plan": [{"op": "load", "name": NAME, "options": []}],
        "conditions": {"attn": None, "batch": None, "seq": None, "decoder_seq": None, "mask": None},
        "device": "cpu",
        "dtype": "float32",
        "invariants": [each.number for each in INVARIANTS],
    }


def examined(library: str, method: str, entry: Entry, keep: str | None) -> Row:
    """One class with one method."""
    kind, model_type, name = entry
    row: Row = {"library": library, "kind": kind, "model_type": model_type, "class": name, "method": method}
    with tempfile.TemporaryDirectory() as place:
        place = keep or place
        try:
            config, model = small_base(model_type, name, lambda config: job_of(library, config, name, ""))
            folder = with_adapter(library, model, METHODS[library][method], os.path.join(place, "adapter"))
        except Exception as problem:
            return {**row, "not_made": f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}"}
        Path(place, "config.json").write_text(json.dumps(config, default=str))
        asked = job_of(library, json.loads(json.dumps(config, default=str)), name, folder)
        channel = Collected(asked)
        examine(asked, channel)
    return {**row, "versions": versions_of(), "invariants": channel.events}


def limited(pipe: Any, *work: Any) -> None:
    """One class in a process of its own."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe.send(examined(*work))


def main() -> None:
    """Examine every class that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=sorted(METHODS))
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--kinds", default="")
    parser.add_argument("--methods", default="lora")
    parser.add_argument("--sample", type=int, default=sys.maxsize, help="as many classes, drawn with --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no class after that")
    parser.add_argument("--classes", type=Path, help="a JSON list of the classes alone that are examined")
    parser.add_argument("--keep", help="leave the base and the adapter of one class in this folder")
    options = parser.parse_args()
    keep_quiet()
    import torch
    import transformers

    __import__(options.library)
    importlib.import_module("transformers.modeling_utils")  # here, and not in the process of every class
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    chosen = [
        entry
        for entry in entries(options.library)
        if re.search(options.only, entry[1])
        and re.search(options.kinds, entry[0])
        and (options.classes is None or entry[2] in json.loads(options.classes.read_text()))
    ]
    random.Random(options.seed).shuffle(chosen)
    work = [(method, entry) for entry in chosen[: options.sample] for method in options.methods.split(",")]
    until = time.monotonic() + 60 * options.minutes
    done = measured_in(options.out)
    with options.out.open("a") as out:
        for method, entry in work:
            if (method, *entry) in done or time.monotonic() > until:
                continue
            row = alone(options.library, method, entry, options.keep)
            out.write(json.dumps(row) + "\n")
            out.flush()
            print(told(row), file=sys.stderr, flush=True)


def measured_in(path: Path) -> set[tuple[str, str, str, str]]:
    """Method, kind, model type and class of what an earlier sweep, which was ended, has left there."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {(row["method"], row["kind"], row["model_type"], row["class"]) for row in map(json.loads, lines)}


def alone(library: str, method: str, entry: Entry, keep: str | None) -> Row:
    """One class with one method in a process of its own, ended when it takes too long."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe()
    process = fork.Process(target=limited, args=(there, library, method, entry, keep))
    process.start()
    there.close()
    row: Row = {"library": library, "kind": entry[0], "model_type": entry[1], "class": entry[2], "method": method}
    try:
        return here.recv() if here.poll(LIMIT) else {**row, "not_made": "took too long"}
    except EOFError:
        return {**row, "not_made": "the process died"}
    finally:
        process.kill()
        process.join()


def told(row: Row) -> str:
    """A line for the person who waits."""
    signs = {"held": ".", "skipped": "-", "broken": "B", "raised": "R"}
    marks = "".join(signs[each["status"]] for each in row.get("invariants", ()))
    return f"{row['method']:7} {row['kind']:8} {row['model_type']:24} {marks or row.get('not_made')}"


if __name__ == "__main__":
    main()
