"""`python -m tests.hub.fuse FOLDER`: fusion layers that the installed library saved, broken and loaded again.

For every case FOLDER/NAME has the adapters a and b and the fusion, and FOLDER/cases.json what `load_adapter_fusion` did
with them. Nothing of adaptlint is imported.
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import adapters
import torch
import transformers

WEIGHTS = "pytorch_model_adapter_fusion.bin"
SEQ = {"mh_adapter": False, "output_adapter": True, "reduction_factor": 4, "non_linearity": "relu"}
BOTH = {**SEQ, "mh_adapter": True}
BASE = {"hidden_size": 16, "num_attention_heads": 4, "intermediate_size": 24, "num_hidden_layers": 2, "vocab_size": 67}


def model(hidden: int = 16) -> Any:
    """A tiny wrapped BERT."""
    torch.manual_seed(0)
    built = transformers.BertModel(transformers.BertConfig(**{**BASE, "hidden_size": hidden})).eval()
    adapters.init(built)
    return built


def saved(place: Path, hidden: int = 16, second: Any = None, config: str = "dynamic", first: Any = None) -> None:
    """Two adapters and their fusion, as the library writes them."""
    made = model(hidden)
    for name, told in (("a", first or SEQ), ("b", first or SEQ)):
        made.add_adapter(name, config=copy.deepcopy(told))
    made.add_adapter_fusion(["a", "b"], config)
    made.save_adapter_fusion(str(place / "fusion"), "a,b")
    other = model()
    for name, told in (("a", first or SEQ), ("b", second or first or SEQ)):
        other.add_adapter(name, config=copy.deepcopy(told))
        other.save_adapter(str(place / name), name)


def edited(place: Path, change: Any) -> None:
    """The fusion's tensors, changed."""
    state = torch.load(place / "fusion" / WEIGHTS)
    torch.save(change(state), place / "fusion" / WEIGHTS)


def loaded(place: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """What the load does; "wrong" where parameters of the layer keep their start."""
    built = model()
    for name in names:
        built.load_adapter(str(place / name), load_as=name)
    try:
        probe = copy.deepcopy(built)
        kinds = json.loads((place / "fusion" / "adapter_fusion_config.json").read_text())["config"]
        probe.add_adapter_fusion(["a", "b"], kinds)
        own = {key for key in probe.state_dict() if "adapter_fusion_layer" in key}
        state = set(torch.load(place / "fusion" / WEIGHTS))
        built.load_adapter_fusion(str(place / "fusion"))
    except Exception as problem:
        return {"outcome": "fails", "error": {"type": type(problem).__name__, "message": str(problem)[:2000]}}
    return {"outcome": "works" if own == state else "wrong"}


def main(folder: Path) -> None:
    """Every case."""
    cases: dict[str, Any] = {
        "healthy": ({}, None, ("a", "b")),
        "static": ({"config": "static"}, None, ("a", "b")),
        "both places": ({"first": BOTH}, None, ("a", "b")),
        "another width": ({"hidden": 24}, None, ("a", "b")),
        "member missing": ({}, None, ("a",)),
        "members disagree": ({"second": BOTH}, None, ("a", "b")),
        "tensors missing": ({}, lambda state: {k: v for k, v in state.items() if "query" not in k}, ("a", "b")),
        "strange tensors": ({}, lambda state: {**state, "encoder.layer.9.x": torch.zeros(3)}, ("a", "b")),
    }
    told = {}
    for name, (settings, change, names) in cases.items():
        place = folder / name.replace(" ", "-")
        place.mkdir(parents=True)
        saved(place, **settings)
        if change:
            edited(place, change)
        told[place.name] = {"names": names, **loaded(place, names)}
    (folder / "cases.json").write_text(json.dumps({"version": adapters.__version__, "cases": told}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
