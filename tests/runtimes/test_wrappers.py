"""Every known wrapper is recognised by the names it leaves, and names that it does not explain are left alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from adaptlint import tables
from adaptlint.runtimes.peft.wrappers import NAME_LENGTH, TABLE, UNKNOWN, cause_of

LAYER = "layers.0.self_attn.q_proj.lora_A.weight"
PEFT = "base_model.model."
WITH_HEAD = f"{PEFT}model.{LAYER}"
BARE = f"{PEFT}{LAYER}"
TOKENS = f"{PEFT}model.embed_tokens.lora_embedding_A"
SEES = f"{PEFT}model.language_model.{LAYER}"
SAW = f"{PEFT}language_model.model.{LAYER}"
EXAMPLES = [
    (f"_orig_mod.{WITH_HEAD}", WITH_HEAD, "torch.compile"),
    (f"{PEFT}_orig_mod.model.{LAYER}", WITH_HEAD, "torch.compile"),
    (f"{PEFT}model.layers.0._fsdp_wrapped_module.self_attn.q_proj.lora_A.weight", WITH_HEAD, "FSDP"),
    (f"{PEFT}model.layers.0._checkpoint_wrapped_module.self_attn.q_proj.lora_A.weight", WITH_HEAD, "checkpointing"),
    (f"module.{WITH_HEAD}", WITH_HEAD, "DistributedDataParallel"),
    (f"{PEFT}{WITH_HEAD}", WITH_HEAD, "twice"),
    (f"model.{LAYER}", WITH_HEAD, "`base_model.model.` is missing"),
    (f"policy.{WITH_HEAD}", WITH_HEAD, "something wrapped the PEFT model"),
    (f"model.{BARE}", WITH_HEAD, "belongs behind it"),
    (WITH_HEAD.replace(".weight", ".style.weight"), WITH_HEAD, "adapter's name"),
    (WITH_HEAD.replace(".weight", ".default.default.weight"), WITH_HEAD, "adapter's name"),
    (f"{TOKENS}.style", TOKENS, "adapter's name"),
    (BARE, WITH_HEAD, "`model.` is missing"),
    (WITH_HEAD, BARE, "one `model.` is too many"),
    (f"{PEFT}model.{BARE.removeprefix(PEFT)}".replace("model.model.", "model.model.model."), WITH_HEAD, "too many"),
    (SAW, SEES, "before 4.52"),
    (SEES, SAW, "from 4.52 on"),
    (WITH_HEAD, SEES, "trained on the text model alone"),
    (SEES, WITH_HEAD, "into its text model alone"),
]


def base_of(prefix: str = "model") -> Any:
    return SimpleNamespace(features={"base_model_prefix": prefix})


@pytest.mark.parametrize(("found", "wanted", "told"), EXAMPLES)
def test_known_wrapper_is_named(found: str, wanted: str, told: str) -> None:
    assert told in cause_of(found, {wanted}, base_of())


def test_every_entry_of_the_table_has_an_example() -> None:
    causes = {row["cause"].replace("{body}", "model") for row in tables.load()[TABLE]["wrapper"]}
    assert causes == {cause_of(found, {wanted}, base_of()) for found, wanted, _ in EXAMPLES}


def test_two_wrappers_are_both_named() -> None:
    told = cause_of(f"module._orig_mod.{WITH_HEAD}", {WITH_HEAD}, base_of())
    assert "torch.compile" in told
    assert "DistributedDataParallel" in told


def test_other_body_than_model() -> None:
    wanted = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight"
    assert "`bert.` is missing" in cause_of(wanted.replace(".bert.", "."), {wanted}, base_of("bert"))


def test_other_projections_are_no_wrapper() -> None:
    told = cause_of(WITH_HEAD.replace("q_proj", "k_proj"), {WITH_HEAD}, base_of())
    assert told == "the file adapts k_proj and the config q_proj"


@pytest.mark.parametrize("found", [f"{PEFT}other.{LAYER}", "", "." * 5_000, "_orig_mod." * NAME_LENGTH])
def test_what_no_entry_explains_is_left_open(found: str) -> None:
    assert cause_of(found, {WITH_HEAD}, base_of()) == UNKNOWN
