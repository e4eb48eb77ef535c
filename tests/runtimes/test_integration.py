"""`--target transformers` against transformers' own load_adapter, run on the same folders."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import adaptlint
from tests.methods.test_cards import BASE, CASES

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")
files = pytest.importorskip("safetensors.torch")

TARGET = f"transformers=={transformers.__version__}"
Q = {"r": 4, "target_modules": ["q_proj"]}
LORAS: list[dict[str, Any]] = [
    {**Q, "use_dora": True},
    {**Q, "modules_to_save": ["lm_head"]},
    {**Q, "target_modules": ["q_proj", "embed_tokens"]},
    {**Q, "bias": "all"},
    {**Q, "lora_bias": True},
    {**Q, "trainable_token_indices": [1, 2]},
    {**Q, "rank_pattern": {"layers.1.self_attn.q_proj": 2}},
    {**Q, "init_lora_weights": "pissa"},
]
WEIGHTS = "adapter_model.safetensors"


def base() -> Any:
    from tests.differential.folders import model_of

    return model_of(BASE, "AutoModelForCausalLM")


def saved(name: str, settings: dict[str, Any], folder: Path) -> Path:
    config = peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING[name](**settings)
    peft.get_peft_model(base(), config).save_pretrained(folder)
    return folder


def loaded(model: Any, name: str, path: Path) -> Any:
    """What load_adapter returns, or the exception that it raises."""
    try:
        return model.load_adapter(str(path), adapter_name=name)
    except Exception as problem:
        return problem


def agree(folders: dict[str, Path]) -> adaptlint.Report:
    """Load the folders in turn, with both; hold verdict, exception and key lists against each other."""
    report = adaptlint.check(
        BASE, [(name, str(path)) for name, path in folders.items()], targets=[TARGET], values="full"
    )
    (verdict,) = report.verdicts
    model, missing, unexpected = base(), set[str](), set[str]()
    for name, path in folders.items():
        told = loaded(model, name, path)
        if isinstance(told, Exception):
            assert verdict.error is not None, told
            assert (verdict.outcome, verdict.error.type) == ("fails", type(told).__name__)
            assert verdict.error.match in str(told)
            return report
        missing |= told.missing_keys
        unexpected |= told.unexpected_keys
    assert verdict.outcome != "fails", verdict.error
    if verdict.outcome != "unknown":
        counts = {key for key in missing if ".ranknum." in key}  # AdaLoRA's own, which no checkpoint carries
        assert (set(verdict.missing_keys), set(verdict.unexpected_keys)) == (missing - counts, unexpected)
    return report


@pytest.mark.parametrize(("name", "settings"), [*CASES, *(("LORA", settings) for settings in LORAS)])
@pytest.mark.filterwarnings("ignore")
def test_every_method_as_saved(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    agree({"default": saved(name, settings, tmp_path / "adapter")})


def edit_config(**fields: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return edit


def edit_tensors(change: Callable[[str, Any], Iterator[tuple[str, Any]]]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        kept = [pair for key, value in files.load_file(folder / WEIGHTS).items() for pair in change(key, value)]
        files.save_file(dict(kept), folder / WEIGHTS)

    return edit


def renamed(old: str, new: str) -> Callable[[Path], None]:
    return edit_tensors(lambda key, value: iter([(key.replace(old, new), value)]))


EDITS: dict[str, Callable[[Path], None]] = {
    "no config": lambda folder: (folder / "adapter_config.json").unlink(),
    "broken config": lambda folder: (folder / "adapter_config.json").write_text("{") and None,
    "unknown type": edit_config(peft_type="FOO"),
    "unknown task": edit_config(task_type="FOO"),
    "unknown field": edit_config(brand_new=1),
    "another rank": edit_config(r=8),
    "no such target": edit_config(target_modules=["nothing"]),
    "broken weights": lambda folder: (folder / WEIGHTS).write_bytes(b"xx") and None,
    "no tensors": edit_tensors(lambda key, value: iter([])),
    "a layer missing": edit_tensors(lambda key, value: iter([] if "layers.1" in key else [(key, value)])),
    "one more axis": edit_tensors(lambda key, value: iter([(key, value[None])])),
    "name left in": renamed(".weight", ".default.weight"),
    "prefix doubled": renamed("base_model.model.", "base_model.model.base_model.model."),
    "prefix gone": renamed("base_model.model.", ""),
    "down to the layers": renamed("base_model.model.model.", ""),
    "half the prefix": renamed("base_model.model.model.", "base_model."),
    "module in front": renamed("base_model", "module.base_model"),
    "a base tensor": edit_tensors(lambda key, value: iter([(key, value), ("model.norm.weight", torch.ones(32))])),
    "a stranger": edit_tensors(lambda key, value: iter([(key, value), ("foo.bar", torch.ones(2))])),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.filterwarnings("ignore")
def test_spoilt_adapters(edit: str, tmp_path: Path) -> None:
    folder = saved("LORA", Q, tmp_path / "adapter")
    EDITS[edit](folder)
    agree({"default": folder})


@pytest.mark.filterwarnings("ignore")
def test_saved_module_that_is_not_in_the_file_is_no_exception_here(tmp_path: Path) -> None:
    folder = saved("LORA", {**Q, "modules_to_save": ["lm_head"]}, tmp_path / "adapter")
    edit_tensors(lambda key, value: iter([] if "lm_head" in key else [(key, value)]))(folder)
    assert agree({"default": folder}).verdicts[0].outcome == "wrong"


@pytest.mark.filterwarnings("ignore")
def test_magnitudes_of_dora_do_not_arrive(tmp_path: Path) -> None:
    report = agree({"default": saved("LORA", LORAS[0], tmp_path / "adapter")})
    assert report.verdicts[0].outcome == "wrong"


@pytest.mark.filterwarnings("ignore")
def test_a_second_adapter(tmp_path: Path) -> None:
    first = saved("LORA", Q, tmp_path / "first")
    second = saved("LORA", {**Q, "target_modules": ["v_proj"]}, tmp_path / "second")
    assert agree({"one": first, "two": second}).verdicts[0].outcome != "fails"
