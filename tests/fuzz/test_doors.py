"""Every input gives a document, a verdict or a named reason: never a traceback, and in bounded time.

`make fuzz INPUTS=1000000` runs as many inputs in shards, each within a second and 300 MB (conftest.py); the default run
is a small sample of them.
"""

from __future__ import annotations

import json
import os
import re
import struct
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import adaptlint
from adaptlint.artefacts import Malformed, TensorFile, read_json, read_tensors
from adaptlint.catalogue import load_catalogue
from adaptlint.patterns import UnboundedPattern, compile_pattern
from adaptlint.tables import load
from tests.conftest import ROOT

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
SHARD = 10_000  # examples of one test: Hypothesis remembers each
SHARDS = max(1, -(-EXAMPLES // SHARD))
BOUNDED = settings(
    max_examples=min(EXAMPLES, SHARD) or 150,
    deadline=timedelta(seconds=1) if EXAMPLES else None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    database=None,
)
BASE = ROOT / "fixtures" / "bases" / "tiny-llama.lock.json"
METHODS = {
    card["peft_type"]: sorted({*card["config"]["none"], *card["config"]["defaults"]})
    for key, card in load().items()
    if key.startswith("methods/") and "config" in card
}
LORA = load()["runtimes/peft/lora_config.toml"]
METHODS["LORA"] = sorted({*LORA["none"], *LORA["defaults"]})
CLAIMED = {reason for rule in load_catalogue() for reason in rule.claim}

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
names = st.sampled_from(
    ["q_proj", "v_proj", ".*q_proj", "lm_head", "embed_tokens", "all-linear", "(", "layers", "a" * 200]
)
values = st.recursive(
    scalars | names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | st.text(max_size=8), inner, max_size=4),
)
tensors = st.dictionaries(
    st.text(min_size=1, max_size=12),
    st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(["F32", "BF16", "I8", "X", "F8_E4M3"]) | scalars,
            "shape": st.lists(st.integers(-1, 5), max_size=3) | scalars,
            "data_offsets": st.lists(st.integers(-1, 64), min_size=2, max_size=2) | scalars,
        }
    )
    | values,
    max_size=4,
)
atoms = st.sampled_from(
    ["a", "b", ".", r"\.", "*", "+", "?", "(", ")", "|", "[", "]", "{2,}", r"\d", "(?!", "(?=", r"\1", "^", "$"]
)


def known(found: object) -> bool:
    """True for what a reader may answer."""
    return isinstance(found, TensorFile) or (isinstance(found, Malformed) and found.reason in CLAIMED)


@pytest.mark.parametrize("shard", range(SHARDS))
@BOUNDED
@given(header=tensors | values, length=st.none() | st.integers(0, 2**64 - 1), data=st.binary(max_size=80))
def test_headers(tmp_path: Path, shard: int, header: Any, length: int | None, data: bytes) -> None:
    safetensors = pytest.importorskip("safetensors")
    text = json.dumps(header).encode()
    content = struct.pack("<Q", len(text) if length is None else length) + text + data
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(content)
    found = read_tensors(str(path))
    assert known(found)
    try:
        real = {name: tuple(row["shape"]) for name, row in safetensors.deserialize(content)}
    except Exception:
        assert isinstance(found, Malformed)
    else:
        if isinstance(found, TensorFile):
            assert {name: row.shape for name, row in found.tensors.items()} == real


@pytest.mark.parametrize("shard", range(SHARDS))
@BOUNDED
@given(content=st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_bytes_of_any_kind(tmp_path: Path, shard: int, content: bytes) -> None:
    for name in ("adapter_model.safetensors", "adapter_model.bin", "weights"):
        path = tmp_path / name
        path.write_bytes(content)
        assert known(read_tensors(str(path)))
    path = tmp_path / "adapter_config.json"
    path.write_bytes(content)
    found = read_json(str(path))
    assert not isinstance(found, Malformed) or found.reason in CLAIMED


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    """An adapter's config: LoRA half of the time, else any method, with up to three fields of any value."""
    peft_type = draw(st.just("LORA") | st.sampled_from(sorted(METHODS)))
    changes = draw(st.dictionaries(st.sampled_from(METHODS[peft_type]), values, max_size=3))
    return {"peft_type": peft_type, "r": 4, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"} | changes


@pytest.mark.parametrize("shard", range(SHARDS))
@BOUNDED
@given(config=configs())
def test_configs(tmp_path: Path, shard: int, config: dict[str, Any]) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    report = adaptlint.check(BASE, tmp_path, targets=["peft==0.21.2"])
    verdict = report.verdicts[0]
    assert not report.crashed
    assert verdict.outcome != "works"  # there are no weights
    assert verdict.why


@pytest.mark.parametrize("shard", range(SHARDS))
@BOUNDED
@given(source=st.lists(atoms, max_size=12).map("".join) | st.text(max_size=30), name=st.text(max_size=12))
def test_patterns(shard: int, source: str, name: str) -> None:
    try:
        pattern = compile_pattern(source)
    except (re.error, UnboundedPattern):
        return
    if pattern._linear is not None and name.isascii() and "\n" not in name:
        assert pattern.fullmatch(name) == (re.fullmatch(source, name) is not None)
