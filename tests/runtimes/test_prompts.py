"""Prompt learning with copies of the embedding: PeftModel knows it under a path of its own, which PEFT wraps too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import adaptlint

peft = pytest.importorskip("peft")
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

BASES = {
    "roberta": ("RobertaConfig", {"intermediate_size": 32}, "TOKEN_CLS", "AutoModelForTokenClassification"),
    "bloom": ("BloomConfig", {}, "CAUSAL_LM", "AutoModelForCausalLM"),
    "llama": ("LlamaConfig", {"intermediate_size": 32}, "CAUSAL_LM", "AutoModelForCausalLM"),
}
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 40}


def base(folder: Path, name: str) -> Any:
    """A tiny model, whose config lies in the folder."""
    config_class, more, _, auto = BASES[name]
    config = getattr(transformers, config_class)(**SIZES, **more)
    model = getattr(transformers, auto).from_config(config)
    config.architectures = [type(model).__name__]
    config.save_pretrained(folder)
    return model


def saved(folder: Path, name: str, method: str, modules: list[str]) -> Path:
    """An adapter of it as PEFT saves one, its numbers drawn anew."""
    torch.manual_seed(5)
    config = peft.get_peft_config(
        {"peft_type": method, "task_type": BASES[name][2], "num_virtual_tokens": 3, "modules_to_save": modules}
    )
    model = peft.get_peft_model(base(folder / "base", name), config)
    model.save_pretrained(folder / "adapter")
    file = folder / "adapter" / "adapter_model.safetensors"
    save_file({key: torch.randn_like(tensor) for key, tensor in load_file(file).items()}, file)
    return file


@pytest.mark.parametrize("method", ["PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING"])
@pytest.mark.parametrize(
    ("name", "modules"), [("roberta", ["word_embeddings"]), ("bloom", ["word_embeddings"]), ("llama", ["embed_tokens"])]
)
def test_copies_of_the_embedding_arrive_under_both_paths(
    tmp_path: Path, name: str, method: str, modules: list[str]
) -> None:
    file = saved(tmp_path, name, method, modules)
    loaded = peft.PeftModel.from_pretrained(base(tmp_path / "base", name), file.parent).state_dict()
    lost = [
        key for key, tensor in load_file(file).items() if not any(_same(tensor, found) for found in loaded.values())
    ]
    verdict = adaptlint.check(tmp_path / "base", [file.parent], targets=["peft"]).verdicts[0]
    assert (verdict.outcome, list(verdict.ignored)) == ("works", lost)


def test_the_second_path_is_asked_for_by_the_loader(tmp_path: Path) -> None:
    file = saved(tmp_path, "roberta", "P_TUNING", ["word_embeddings"])
    tensors = load_file(file)
    del tensors["word_embeddings.weight"]
    save_file(tensors, file)
    with pytest.raises(KeyError, match=r"word_embeddings\.weight"):
        peft.PeftModel.from_pretrained(base(tmp_path / "base", "roberta"), file.parent)
    verdict = adaptlint.check(tmp_path / "base", [file.parent], targets=["peft"]).verdicts[0]
    assert verdict.outcome == "fails"
    assert verdict.error is not None
    assert (verdict.error.type, "word_embeddings.weight" in verdict.error.match) == ("KeyError", True)
    assert json.loads((file.parent / "adapter_config.json").read_text())["modules_to_save"][0] == "word_embeddings"


def _same(one: Any, other: Any) -> bool:
    return one.shape == other.shape and torch.equal(one, other)
