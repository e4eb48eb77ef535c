"""X-LoRA adapters over experts that are made on the spot: what real PEFT does with them, and what the check says."""

from __future__ import annotations

import json
import random
import shutil
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import peft
import torch
from safetensors.torch import load_file, save_file

import adaptlint
from tests.differential.architectures import Architecture, fresh, inputs_of, pristine, write_config
from tests.differential.making import randomise
from tests.differential.truth import outputs

BASES = ("llama", "opt", "mistral", "qwen2")
TARGETS = (["q_proj", "v_proj"], ["q_proj"], ["k_proj", "q_proj"], ["embed_tokens", "q_proj"])
NUMBERS = (2, 2, 3, 3, 11)  # of one expert there is nothing to choose
TOPS = (None, None, None, 1, 3, 0, -1)
EXTRAS: tuple[dict[str, Any], ...] = (*[{}] * 8, {"use_dora": True}, {"use_rslora": True}, {"bias": "all"})
NEAR = 1e-4
EDITS = (*["none"] * 6, "gone", "renamed", "dropped", "other rank", "one less")


class Row(NamedTuple):
    """One case: the exception's class and text ("" where the forward runs), whether it is as trained, the verdict."""

    id: str
    type: str
    message: str
    as_trained: bool
    verdict: Any

    @property
    def agrees(self) -> bool:
        """A failure is told as that failure, and a fault of what runs where it is not as it was trained."""
        error = self.verdict.error
        if self.verdict.outcome != "fails" or error is None:
            return not self.type and self.as_trained == (self.verdict.outcome == "works")
        return bool(error.type == self.type and error.match in self.message)


def base_of(name: str) -> Architecture:
    """The base of that name as a causal model."""
    return Architecture(name, "AutoModelForCausalLM")


def model(base: Architecture) -> Any:
    """The base without a cache, which X-LoRA refuses."""
    found = fresh(base)
    found.config.use_cache = False
    return found


def answer(mixed: Any, base: Architecture) -> torch.Tensor:
    """The first output of an ordinary forward."""
    with torch.no_grad():
        return outputs(mixed.eval()(**inputs_of(base)))[0]


def save(mixed: Any, folder: Path) -> None:
    """Save the adapter with the whole classifier.

    PEFT 0.20 and 0.21.2 leave out its layers whose numbers are names of experts
    (save_and_load.py, `_filter_state_dict_for_adapter_name`).
    """
    mixed.save_pretrained(folder)
    own = {name: value.contiguous() for name, value in mixed.state_dict().items() if "internal_xlora" in name}
    save_file(own, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def uncached(base: Architecture, folder: Path) -> Path:
    """The base's folder, its config without a cache."""
    write_config(base, folder / "bases")
    file = folder / "bases" / base.folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "use_cache": False}))
    return file.parent


def make(seed: int, index: int, folder: Path) -> tuple[str, Architecture, Any] | None:
    """Experts `e0`, `e1` ... and the adapter `x`; None where PEFT itself makes none of the settings drawn.

    What is returned last is what the adapter gives as it was trained, None where it raises.
    """
    source = random.Random(f"experts {seed} {index}")
    base = base_of(source.choice(BASES))
    names = {}
    for number in range(source.choice(NUMBERS)):
        settings = {"r": source.choice([2, 4]), "target_modules": source.choice(TARGETS), **source.choice(EXTRAS)}
        expert = peft.get_peft_model(model(base), peft.LoraConfig(**settings))
        torch.manual_seed(source.randrange(1 << 30))
        randomise(expert)
        expert.save_pretrained(folder / f"e{number}")
        names[str(number)] = str(folder / f"e{number}")
    hidden = source.choice([None, 16, *[pristine(base).config.hidden_size] * 8])
    top = source.choice(TOPS)
    given = {name: value for name, value in (("hidden_size", hidden), ("top_k_lora", top)) if value is not None}
    sizes = {"xlora_depth": source.choice([1, 2, 3]), "xlora_size": 8, "layerwise_scalings": source.random() < 0.5}
    try:
        mixed = peft.get_peft_model(
            model(base), peft.XLoraConfig(task_type="CAUSAL_LM", adapters=names, **sizes, **given)
        )
    except Exception:
        return None
    for parameter in mixed.base_model.internal_xlora_classifier.parameters():
        parameter.data.normal_()
    (save if source.random() < 0.7 else mixed.__class__.save_pretrained)(mixed, folder / "x")
    trained = None
    with suppress(Exception):
        trained = answer(mixed, base)
    edit = source.choice(EDITS)
    change(folder, edit)
    return edit, base, trained


def change(folder: Path, edit: str) -> None:
    """What happens to experts on their way to users."""
    file = folder / "x" / "adapter_config.json"
    config = json.loads(file.read_text())
    if edit == "gone":
        shutil.rmtree(folder / "e0")
    elif edit == "renamed":
        config["adapters"] = {f"expert{name}": path for name, path in config["adapters"].items()}
    elif edit == "one less":
        config["adapters"] = dict(list(config["adapters"].items())[:-1])
    elif edit in ("dropped", "other rank"):
        weights = folder / "e0" / "adapter_model.safetensors"
        values = load_file(weights)
        first = sorted(name for name in values if "lora_A" in name)[0]
        found = values.pop(first)
        if edit == "other rank":
            values[first] = torch.randn(found.shape[0] + 1, *found.shape[1:])
        save_file(values, weights, metadata={"format": "pt"})
    file.write_text(json.dumps(config))


def one(root: Path, seed: int, index: int) -> Row | None:
    """Make one case, run it, check it."""
    folder = root / f"experts-{seed}-{index}"
    folder.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = make(seed, index, folder)
        if made is None:
            return None
        edit, base, trained = made
        kind, message, as_trained = "", "", False
        try:
            loaded = peft.PeftModel.from_pretrained(model(base), folder / "x")
            found = answer(loaded, base)
            idle = bool(torch.allclose(found, answer(model(base), base), atol=NEAR))
            as_trained = trained is not None and bool(torch.allclose(found, trained, atol=NEAR)) and not idle
        except Exception as problem:
            kind, message = type(problem).__name__, str(problem)
    (verdict,) = adaptlint.check(uncached(base, folder), folder / "x", model_class=base.auto).verdicts
    return Row(f"{index}.{base.name}.{edit}", kind, message[:300], as_trained, verdict)
