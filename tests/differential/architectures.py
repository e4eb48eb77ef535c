"""Tiny real models, built once per process and copied for every case."""

from __future__ import annotations

import copy
import functools
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers

TABLE = tomllib.loads(Path(__file__).with_name("architectures.toml").read_text())


class Architecture(NamedTuple):
    """One base: its name in the table, which sibling of it, and the Auto class it is loaded as."""

    name: str
    auto: str
    sibling: str = ""

    @property
    def folder(self) -> str:
        """The base's folder name below bases/."""
        return f"{self.name}-{self.sibling}" if self.sibling else self.name


def architectures(names: list[str] | None = None) -> list[Architecture]:
    """Every base that transformers has, of these names or all, in every class that it can be loaded as."""
    return [
        Architecture(name, f"AutoModelFor{kind}" if kind != "Model" else "AutoModel")
        for name, entry in TABLE["models"].items()
        if entry.get("type", name) in transformers.CONFIG_MAPPING and (names is None or name in names)
        for kind in entry["as"]
    ]


def siblings(base: Architecture) -> list[Architecture]:
    """The wrong bases of the same architecture: those whose changed setting the architecture knows."""
    entry = TABLE["models"][base.name]
    known = {**TABLE.get(entry.get("like", ""), {}), **entry.get("settings", {}), "num_labels": 3}
    possible = {name: changes for name, changes in TABLE["siblings"].items() if name not in entry.get("without", ())}
    return [base._replace(sibling=name) for name, changes in possible.items() if set(changes) & set(known)]


def config_of(base: Architecture) -> Any:
    """The base's config object."""
    entry = TABLE["models"][base.name]
    settings = {**TABLE["defaults"], **TABLE.get(entry.get("like", ""), {}), **entry.get("settings", {})}
    if base.sibling:
        settings.update({k: v for k, v in TABLE["siblings"][base.sibling].items() if k in settings})
    return transformers.AutoConfig.for_model(entry.get("type", base.name), **copy.deepcopy(settings))


@functools.cache
def pristine(base: Architecture) -> Any:
    """The base, freshly initialised from a fixed seed, in eval mode; never changed, only copied."""
    torch.manual_seed(11)
    config = config_of(base)
    model = getattr(transformers, base.auto).from_config(config)
    model.config.architectures = [type(model).__name__]
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
    return model.eval()


def fresh(base: Architecture) -> Any:
    """A copy of the base to work on."""
    return copy.deepcopy(pristine(base))


def write_config(base: Architecture, folder: Path) -> None:
    """Write the base's config.json, as the library saves it, unless it is there already."""
    target = folder / base.folder
    if not (target / "config.json").exists():
        target.mkdir(parents=True, exist_ok=True)
        config = copy.deepcopy(pristine(base).config)
        config.save_pretrained(target)


def inputs_of(base: Architecture) -> dict[str, torch.Tensor]:
    """Ordinary inputs for one forward, seeded; texts have every token, so that each row of an embedding acts."""
    kind = TABLE["models"][base.name].get("inputs", "text")
    source = torch.Generator().manual_seed(5)
    ids = 3 + torch.randperm(92, generator=source).reshape(2, 46)
    if kind == "text":
        return {"input_ids": ids}
    if kind == "seq2seq":
        ids = torch.nn.functional.pad(ids, (0, 1), value=2)
        return {"input_ids": ids} if "Sequence" in base.auto else {"input_ids": ids, "decoder_input_ids": ids[:, :5]}
    if kind == "speech":
        return {"input_features": torch.randn(2, 16, 16, generator=source), "decoder_input_ids": ids[:, :5]}
    size = TABLE["models"][base.name].get("pixels", 16)
    pixels = {"pixel_values": torch.randn(2, 3, size, size, generator=source)}
    return {"input_ids": ids[:, :30], **pixels} if kind == "image_text" else pixels
