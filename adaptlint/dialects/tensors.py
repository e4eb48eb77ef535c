"""What is odd about single tensors: dtypes with few digits, names that cannot be shown, a twin file."""

from __future__ import annotations

import re

from adaptlint.artefacts import Malformed, TensorFile
from adaptlint.dialects.recognising import NAME_LENGTH
from adaptlint.findings import Fact, Fault, Where

NARROW = ("F8_", "F6_", "F4")
ADAPTER_PART = re.compile(r"(^|[._])(lora|hada|lokr|ia3|vera|oft|boft|prompt)")


def narrow_dtypes(file: TensorFile) -> list[Fault]:
    """One fault per adapter tensor that is stored in a floating-point format of eight bits or less."""
    return [
        Fault("tensor-dtype-narrow", at=Where(file.path, (name,)), facts={"dtype": row.dtype, "tensor": name})
        for name, row in file.tensors.items()
        if row.dtype.startswith(NARROW) and ADAPTER_PART.search(name[:NAME_LENGTH])
    ]


def unprintable(fault: Fault) -> Fault:
    """A tensor that PEFT ignores, told as what it is if its name has characters that cannot be shown."""
    key = fault.facts.get("key")
    if fault.reason != "tensor-ignored" or not isinstance(key, str) or key.isprintable():
        return fault
    return fault._replace(reason="tensor-name-unprintable", facts={**fault.facts, "characters": _characters(key)})


def _characters(name: str) -> str:
    """The characters in question by number: U+0007, U+202E."""
    odd = dict.fromkeys(character for character in name if not character.isprintable())
    return ", ".join(f"U+{ord(character):04X}" for character in list(odd)[:5])


def twin_that_differs(used: TensorFile, unused: TensorFile | Malformed) -> dict[str, Fact]:
    """How two weight files differ in names and shapes; nothing if they do not or one cannot be read."""
    if isinstance(unused, Malformed):
        return {}
    ours = {name: row.shape for name, row in used.tensors.items()}
    theirs = {name: row.shape for name, row in unused.tensors.items()}
    other_shape = [name for name, shape in theirs.items() if ours.get(name, shape) != shape]
    only_ours, only_theirs = sorted(ours.keys() - theirs.keys()), sorted(theirs.keys() - ours.keys())
    if not (other_shape or only_ours or only_theirs):
        return {}
    shown = (other_shape or only_theirs or only_ours)[0]
    return {
        "shapes": len(other_shape),
        "only_used": len(only_ours),
        "only_unused": len(only_theirs),
        "shown": shown,
    }
