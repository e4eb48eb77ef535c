"""Recipes become folders that the real readers accept."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from adaptlint.testing import RecipeError, build, expand, page_examples, read_recipe

PLAIN = """
base = { config = { model_type = "llama" } }
[config]
r = 4
target_modules = ["q_proj"]
revision = "<unset>"
[[tensors]]
modules = "model.layers.{0-1}.self_attn.q_proj"
rank = 4
in = 32
out = 16
"""
FIRST = "base_model.model.model.layers.0.self_attn.q_proj"


def header(folder: str, name: str = "adapter_model.safetensors") -> dict[str, Any]:
    data = Path(folder, name).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    found: dict[str, Any] = json.loads(data[8 : 8 + length])
    return found


def adapter(text: str, folder: Path) -> str:
    return build(read_recipe(text), str(folder), bases="").adapter


def test_ranges_and_choices_expand_in_order() -> None:
    assert expand("h.{0-1,4}.{a,b}") == ["h.0.a", "h.0.b", "h.1.a", "h.1.b", "h.4.a", "h.4.b"]


def test_a_module_becomes_a_pair(tmp_path: Path) -> None:
    told = header(adapter(PLAIN, tmp_path))
    assert told[f"{FIRST}.lora_A.weight"]["shape"] == [4, 32]
    assert told[f"{FIRST}.lora_B.weight"]["shape"] == [16, 4]
    assert len([name for name in told if name != "__metadata__"]) == 4


def test_config_has_peft_s_defaults_and_the_recipe_s_settings(tmp_path: Path) -> None:
    config = json.loads(Path(adapter(PLAIN, tmp_path), "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["peft_type"]) == (4, 8, "LORA")
    assert "revision" not in config


def test_real_reader_accepts_every_dtype(tmp_path: Path) -> None:
    reader = pytest.importorskip("safetensors")
    pytest.importorskip("torch")
    kinds = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2")
    extra = "".join(f'[[tensors]]\nname = "x.{kind}"\nshape = [3, 5]\ndtype = "{kind}"\n' for kind in kinds)
    path = os.path.join(adapter(PLAIN + extra, tmp_path), "adapter_model.safetensors")
    with reader.safe_open(path, "pt") as file:
        for kind in kinds:
            value = file.get_tensor(f"x.{kind}").double()
            assert value.isfinite().all()
            assert value.shape == (3, 5)


def test_a_large_adapter_takes_no_room(tmp_path: Path) -> None:
    text = PLAIN.replace("{0-1}", "{0-79}").replace("= 32", "= 8192")
    path = os.path.join(adapter(text, tmp_path), "adapter_model.safetensors")
    assert os.stat(path).st_size > 10_000_000
    assert os.stat(path).st_blocks * 512 < 200_000


@pytest.mark.parametrize(
    ("edit", "names"),
    [
        ('op = "drop"\nmatch = "lora_A|layers.1"', {f"{FIRST}.lora_B.weight"}),
        (
            'op = "rename"\nmatch = "^base_model\\\\.model\\\\."\nto = ""',
            {f"model.layers.{n}.self_attn.q_proj.lora_{side}.weight" for n in (0, 1) for side in "AB"},
        ),
    ],
)
def test_tensor_edits(edit: str, names: set[str], tmp_path: Path) -> None:
    told = header(adapter(f"{PLAIN}[[mutate]]\n{edit}\n", tmp_path))
    assert set(told) - {"__metadata__"} == names


def test_duplicates_stand_twice_in_the_header(tmp_path: Path) -> None:
    text = f'{PLAIN}[[mutate]]\nop = "duplicate"\nmatch = "layers.0.*lora_A"\n'
    raw = Path(adapter(text, tmp_path), "adapter_model.safetensors").read_bytes()
    assert raw.count(f'"{FIRST}.lora_A.weight"'.encode()) == 2


def test_file_edits(tmp_path: Path) -> None:
    folder = Path(adapter(f'{PLAIN}[[mutate]]\nop = "truncate"\nat = 20\n', tmp_path / "cut"))
    assert (folder / "adapter_model.safetensors").stat().st_size == 20
    text = (
        f'{PLAIN}[[mutate]]\nop = "replace"\nfile = "adapter_config.json"\nfind = "\\"r\\": 4"\nwith = "\\"r\\": 5"\n'
    )
    folder = Path(adapter(text, tmp_path / "edited"))
    assert json.loads((folder / "adapter_config.json").read_text())["r"] == 5


def test_a_base_in_shards_has_its_index(tmp_path: Path) -> None:
    part = '{ name = "model.layers.{0-3}.w", shape = [2, 2], dtype = "BF16" }'
    text = PLAIN.replace('{ model_type = "llama" } }', f'{{ model_type = "llama" }}, tensors = [{part}], shards = 2 }}')
    model = build(read_recipe(text), str(tmp_path), bases="").model
    index = json.loads(Path(model, "model.safetensors.index.json").read_text())
    assert sorted(index["weight_map"]) == [f"model.layers.{n}.w" for n in range(4)]
    for name, shard in index["weight_map"].items():
        assert header(model, shard)[name]["shape"] == [2, 2]


@pytest.mark.parametrize(
    "text",
    ["nonsense = 1", "= 1", 'base = "no such base"', 'base = {}\n[[tensors]]\nname = "x"\nshape = [1]\ndtype = "F7"'],
)
def test_a_wrong_recipe_says_so(text: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError):
        build(read_recipe(text), str(tmp_path), bases=str(tmp_path))


def test_examples_of_a_page_stand_below_their_headings() -> None:
    page = "# T\n## Bad\n```toml recipe\na = 1\n```\n## Good\n```toml\nno = 1\n```\n```toml recipe\nb = 2\n```\n"
    assert page_examples(page) == {"bad": ["a = 1\n"], "good": ["b = 2\n"]}
