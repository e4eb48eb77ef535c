"""Checkpoint keys as text: how releases before 0.21 make model keys of them, and those before 0.15 for saved modules.

Source: utils/save_and_load.py, set_peft_model_state_dict and _insert_adapter_name_into_state_dict.
"""

from __future__ import annotations

from collections.abc import Iterable

from adaptlint.runtimes.peft.conversion import Entry
from adaptlint.runtimes.peft.release import Release

VECTORS = ".tinylora_v."  # have their name already (PEFT 0.19 and 0.20, set_peft_model_state_dict)


def rename_saved(state: dict[str, Entry], names: Iterable[str], adapter: str) -> dict[str, Entry]:
    """Keys with a name of modules_to_save anywhere in them, turned to the adapter's copy of that module."""
    renamed = {}
    for key, entry in state.items():
        name = next((name for name in names if name in key), None)
        renamed[key.replace(name, f"{name}.modules_to_save.{adapter}") if name else key] = entry
    return renamed


def with_adapter(key: str, adapter: str, release: Release, prefix: str) -> str:
    """The key with the adapter's name put in after the method's part, and DoRA's magnitude as the model has it."""
    if not prefix or prefix not in key or VECTORS in key:
        return key
    inner = key.rpartition(prefix)[2] if release.inserts_name_at_end else key.split(prefix)[1]
    _, dot, tail = inner.partition(".")
    if not dot:
        key = f"{key}.{adapter}"
    elif release.inserts_name_at_end:
        key = f"{key.removesuffix(tail)}{adapter}.{tail}"
    else:
        key = key.replace(tail, f"{adapter}.{tail}")
    return f"{key}.weight" if release.magnitude_is_module and key.endswith(f"lora_magnitude_vector.{adapter}") else key
