"""What padding does to a forward with virtual tokens, and to a head that reads off at the last token.

Where a tokenizer pads is known only from a tokenizer_config.json beside the adapter or the base.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from adaptlint import tables
from adaptlint.artefacts import Folder, open_folder
from adaptlint.artefacts.padding_side import read_padding_side
from adaptlint.bases import Base
from adaptlint.findings import Fact, Fault, Where
from adaptlint.graph import Adapter
from adaptlint.runtimes.peft.prompts import text_config
from adaptlint.runtimes.peft.refusal import Refusal
from adaptlint.runtimes.peft.release import PEFT
from adaptlint.runtimes.peft.settings import Settings
from adaptlint.runtimes.prediction import Request


def batch_faults(base: Base, settings: Settings, request: Request) -> Iterator[Refusal]:
    """A head that looks for each text's last token refuses several texts where no padding token tells it apart.

    GenericForSequenceClassification.forward of transformers 5.23, and those of the older classes.
    """
    pooled = base.features.get("pools_last_token")
    if pooled and (request.batch or 1) > 1 and text_config(base).get("pad_token_id") is None:
        match = "Cannot handle batch sizes > 1 if no padding token is defined."
        at = Where(base.config_file.path) if base.config_file else Where(base.ref)
        facts: dict[str, Fact] = {"class": base.model_class, "batch": request.batch}
        yield Refusal("ValueError", match, "batch-without-padding-token", at=at, facts=facts, stage="forward")


def padding_faults(base: Base, adapter: Adapter | None, settings: Settings, request: Request) -> Iterator[Fault]:
    """Outputs that padding changes although the mask hides it."""
    acts = settings.method.is_prompt and settings["task_type"] in tables.load()[PEFT]["task"]
    if request.mask != "padded" or not acts:
        return
    side, said = _side(base, adapter)
    count = settings["num_virtual_tokens"]
    at = settings.where("peft_type")
    because = ((said, f"padding is put on the {side}"),) if said else ()
    embeds = not settings.method.fills_cache
    if base.features.get("pools_last_token") and settings["task_type"] == "SEQ_CLS" and embeds and side != "left":
        known = "pads on the right" if side == "right" else "may pad on the right"
        facts: dict[str, Fact] = {"class": base.model_class, "known": known}
        yield Fault("padding-read-off", at=at, facts=facts, because=because, decides=side == "right")
    if side == "left" and settings["task_type"] == "CAUSAL_LM":
        moved: dict[str, Fact] = {"virtual": count, "method": settings.method.peft_type}
        yield Fault("padding-moves-prompt", at=at, facts=moved, because=because)


def _side(base: Base, adapter: Adapter | None) -> tuple[str, Where | None]:
    """The side that the adapter's tokenizer says, else the base's; "" where neither says one."""
    own = adapter.folder if adapter else None
    folders = [own, open_folder(base.ref) if os.path.isdir(base.ref) else None]
    for folder in folders:
        found = read_padding_side(folder) if isinstance(folder, Folder) else None
        if found is not None:
            return found
    return "", None
