"""Load folders with whichever AdapterHub library is installed: `python -m tests.hub.play cases.json records.json`.

A case is {key, config: the base's config.json, class: a transformers class, adapters: [[name or null, folder]]}. It
runs where there is nothing but `adapters` and what it pins, so nothing of adaptlint is imported.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import adapters
import torch
import transformers
from adapters.loading import WeightsLoaderHelper

Record = dict[str, Any]


def wrapped(config: Path, name: str, seed: int = 0) -> Any:
    """A randomly initialised base of that class, wrapped by the library."""
    told = json.loads(config.read_text())
    torch.manual_seed(seed)
    kind = getattr(transformers, name)
    built = kind(transformers.AutoConfig.for_model(told.pop("model_type"), **told)).eval()
    adapters.init(built)
    return built


@contextmanager
def watched(before: Record) -> Iterator[None]:
    """While it holds, the state that a model is in right before tensors are copied into it is kept in `before`."""
    original = WeightsLoaderHelper.load_weights_from_state_dict

    def load(self: Any, *args: Any, **kwargs: Any) -> Any:
        for key, value in self.model.state_dict().items():  # a head is loaded after the adapter, by the same helper
            before.setdefault(key, value.clone())
        return original(self, *args, **kwargs)

    WeightsLoaderHelper.load_weights_from_state_dict = load
    try:
        yield
    finally:
        WeightsLoaderHelper.load_weights_from_state_dict = original


def load(model: Any, folder: str, name: str | None, values: Record) -> Record:
    """One `load_adapter`; `values` are the file's tensors, all of them unlike anything that a model starts with."""
    own, before, told = set(model.state_dict()), Record(), Record()
    try:
        with watched(before):
            model.load_adapter(folder, load_as=name, set_active=False, loading_info=told)
    except Exception as problem:
        return {"outcome": "fails", "error": {"type": type(problem).__name__, "message": str(problem)[:3000]}}
    after = model.state_dict()
    left = [key for key in after if key not in own and torch.equal(after[key], before[key])]
    arrived = {shown(value) for value in after.values()}
    ignored = [key for key, value in values.items() if shown(value) not in arrived]
    return {
        "outcome": "wrong" if left or ignored or own == set(after) else "works",
        "missing": sorted(told.get("missing_keys", [])),
        "unexpected": sorted(told.get("unexpected_keys", [])),
        "left": sorted(left),
        "ignored": sorted(ignored),
    }


def shown(value: Any) -> tuple[Any, ...]:
    """A tensor as something that can be looked up."""
    return (tuple(value.shape), *value.flatten()[:4].tolist())


def opened(folder: Path) -> Record:
    """The tensors that the library opens by default; none where it cannot."""
    try:
        return dict(torch.load(folder / "pytorch_adapter.bin", weights_only=True))
    except Exception:
        return {}


def played(case: Record) -> list[Record]:
    """What each load of a case does, up to the first that raises."""
    model = wrapped(Path(case["config"]), case["class"])
    records: list[Record] = []
    for name, folder in case["adapters"]:
        records.append(load(model, folder, name, opened(Path(folder))))
        if records[-1]["outcome"] == "fails":
            break
    return records


def main(cases: Path, records: Path) -> None:
    """Play every case of one file and write what happened to another."""
    done = {case["key"]: played(case) for case in json.loads(cases.read_text())}
    records.write_text(json.dumps({"version": adapters.__version__, "records": done}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
