"""The file of sd-scripts for diffusers, which does not read every one of them right.

Source: diffusers 0.42.1, utils/state_dict_utils.py (`convert_state_dict_to_peft` knows the names of attention by those
of its output projection alone), loaders/lora_base.py and utils/peft_utils.py (`get_peft_kwargs`): alphas that differ
are looked up by names that the layers do not have.
"""

from __future__ import annotations

from adaptlint.bases import Base
from adaptlint.drafts.words import Inexact
from adaptlint.repair import to_kohya
from adaptlint.repair.exporting import Written
from adaptlint.repair.plain_lora import PlainLora

ATTENTION, KNOWN_BY = ".self_attn.", "out_proj"


def write(lora: PlainLora, base: Base, release: str) -> Written:
    """The one file, without a config. Raises Inexact."""
    made = to_kohya.write(lora, base, release)
    attention = [path for path in lora.modules if ATTENTION in f".{path}"]
    if attention and not any(path.endswith(KNOWN_BY) for path in attention):
        raise Inexact(f"diffusers finds tensors of attention only where some {KNOWN_BY} is adapted, too")
    lora.one({path: lora.alpha(path) for path in lora.modules}, "alphas", "what diffusers makes of such a file")
    return made
