"""Adapters that the tests replay: recorded cases of the oracle's sample, and one of an 8B model."""

from __future__ import annotations

from pathlib import Path

from adaptlint.findings import Report
from adaptlint.testing import Built, build, read_recipe
from tests.conftest import ROOT
from tests.replay.oracle import report_of

SAMPLE = ROOT / "tests" / "oracle" / "sample"
IGNORED = "bert.lora.2026-1.layers_outside"  # two tensors of a layer that the config leaves out
MISSING = "opt.lora.2026-3.exclude_added"
RAISES = "vit.lora.2026-50.other_base"
HEALTHY = "llama.lora.2026-45.valid"
LARGE = """
base = "llama-3-8b"
[config]
r = 8
target_modules = ["q_proj", "v_proj"]
task_type = "CAUSAL_LM"
[[tensors]]
modules = "model.layers.{0-31}.self_attn.q_proj"
rank = 8
in = 4096
out = 4096
values = "random"
[[tensors]]
modules = "model.layers.{0-31}.self_attn.v_proj"
rank = 8
in = 4096
out = 1024
values = "random"
"""


def report(name: str) -> Report:
    """The report on a case of the sample."""
    return report_of(SAMPLE, name)


def arguments(name: str) -> list[str]:
    """MODEL and ADAPTER of a case of the sample."""
    import json

    base = json.loads((SAMPLE / "cases" / name / "case.json").read_text())["base"]
    return [str(SAMPLE / "bases" / base), str(SAMPLE / "cases" / name / "adapter")]


def large(folder: Path) -> Built:
    """A LoRA of Llama-3-8B."""
    return build(read_recipe(LARGE), str(folder), str(ROOT / "fixtures" / "bases"))
